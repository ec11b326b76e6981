import { parseCookie, parseSetCookie, type SetCookie } from 'cookie'
import type { NextFunction, Request, Response } from 'express'
import { ipKey } from '../../domain/limits/ip-keys.ts'
import { findLivingIdentitySession } from '../../domain/sign-in/identity-sessions.ts'
import { type Answer, type Audience, RepeatedActs } from '../../domain/repeated-acts.ts'
import type { Services } from '../../domain/services.ts'
import { servicesOf } from '../context.ts'
import { flashCookie } from '../flash-messages.ts'
import { cookiesSetBy, outlivesAnswer } from '../shared-cookies.ts'
import { identityCookieName } from './session.ts'

/** The hidden field that has a new value whenever a form is shown (`views/partials/form-id.ejs`). */
const FORM_ID = 'form_id'

/** Longer answers, such as downloads, are kept for no other request (bytes). */
const LONGEST_ANSWER = 64 * 1024

/** What makes the answer, and may differ between pages. */
const HEADERS = ['location', 'set-cookie', 'content-type', 'content-security-policy']
const REDIRECT_HEADERS = HEADERS.slice(0, 2)

/** Set by `actOnce`: this act cannot be done a second time, so the same request later is the same act. */
const once = new WeakMap<Request, { byStranger: boolean }>()
const earlier = new WeakMap<Request, Answer>()
const acts = new WeakMap<Services, RepeatedActs>()

/**
 * A form that is posted twice (a double click, the retry of a proxy) acts once, and both requests get the answer of the first.
 * Identical requests that come while the first is answered always do. A later one does, for a minute, when it cannot be a new
 * act: it shows a cookie that the first answer replaced, or the id of the same form, or `actOnce` stands on its route.
 * Refusals are not repeated: every wrong password is a guess. It stands behind the parser of forms.
 */
export async function answerRepeatedForms(req: Request, res: Response, next: NextFunction): Promise<void> {
  if (req.method !== 'POST' || !isRecognizable(req)) return next()
  await join(req, res, next)
}

/** For a route whose act can be done only once, because of a link, a code or a name in it. It stands behind its guards. */
export async function actOnce(req: Request, res: Response, next: NextFunction): Promise<void> {
  const answer = earlier.get(req)
  if (answer !== undefined) return repeat(req, res, answer)
  once.set(req, { byStranger: !req.signedIn })
  if (isRecognizable(req)) return next()
  await join(req, res, next)
}

/**
 * The same for a link from a mail, which works once: only a second half of the same form is the same act. A request with the link
 * alone reads that it has been used.
 */
export async function actOncePerForm(req: Request, res: Response, next: NextFunction): Promise<void> {
  if (formIdIn(req) === null) return next()
  await actOnce(req, res, next)
}

async function join(req: Request, res: Response, next: NextFunction): Promise<void> {
  const act = await actsOf(servicesOf(req)).begin(servicesOf(req), nameOf(req))
  if (act.kind === 'first') {
    watch(req, res, act.settle)
    return next()
  }
  if (!act.isLate) return repeat(req, res, act.answer)
  if (act.answer.needsGuards && !once.has(req)) {
    earlier.set(req, act.answer)
    return next()
  }
  if (await hasEnded(req, act.answer)) return repeat(req, res, { ...act.answer, ...TO_SIGN_IN })
  repeat(req, res, act.answer)
}

function actsOf(services: Services): RepeatedActs {
  const known = acts.get(services)
  if (known !== undefined) return known
  const made = new RepeatedActs()
  acts.set(services, made)
  return made
}

/** Requests without the id of a form and without a cookie may be of any two browsers that sign the same person in. */
function isRecognizable(req: Request): boolean {
  return isNamed(req) || Object.keys(cookiesOf(req)).length > 0
}

/** What an ended session leaves of an answer: an ending in between wins. */
const TO_SIGN_IN: Pick<Answer, 'status' | 'headers' | 'body'> = {
  status: 303,
  headers: { location: '/login' },
  body: '',
}

async function hasEnded(req: Request, { identitySessionId }: Answer): Promise<boolean> {
  if (identitySessionId === null) return false
  return (await findLivingIdentitySession(servicesOf(req), identitySessionId, req.clientInfo)) === null
}

function repeat(req: Request, res: Response, { status, headers, body }: Answer): void {
  req.isRepeated = true
  res.status(status)
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}

/**
 * All that makes two requests the same. A double click may come when the browser has the first answer's cookies already, so the
 * id of a form stands for them, and so does a user name, which can be registered only once.
 */
function nameOf(req: Request): string {
  const cookies = isNamed(req) ? [] : Object.entries(cookiesOf(req)).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const { browser, address } = req.clientInfo
  return JSON.stringify([req.originalUrl, cookies, browser, ipKey(address), req.body ?? null])
}

function isNamed(req: Request): boolean {
  return formIdIn(req) !== null || req.path === '/register'
}

/** Without the message for the next page: it goes without an act. */
function cookiesOf(req: Request): Record<string, string | undefined> {
  const { [flashCookie(req)]: _notice, ...cookies } = parseCookie(req.headers.cookie ?? '')
  return cookies
}

/**
 * Holds a short answer until it is kept: a browser that has the first half of it, as express-session sends it, may ask for more.
 * Others, such as downloads, pass.
 */
function watch(
  req: Request,
  res: Response,
  settle: (answer: Answer | null, audience: Audience) => Promise<void>,
): void {
  const held: Buffer[] = []
  let isPassing = false
  let isSettled = false
  const settleOnce: typeof settle = async (answer, audience) => {
    if (isSettled) return
    isSettled = true
    await settle(answer, audience)
  }
  const write = res.write.bind(res) as (...args: unknown[]) => boolean
  const end = res.end.bind(res) as (...args: unknown[]) => Response
  // A download that was cut. A short answer is kept although its client has gone: the act is done.
  res.once('close', () => isPassing && void settleOnce(null, 'none'))
  res.write = (...args: unknown[]) => {
    if (isPassing) return write(...args)
    hold(held, args)
    if (isWorthHolding(res, held)) return true
    isPassing = true
    return write(Buffer.concat(held))
  }
  res.end = (...args: unknown[]) => {
    if (!isPassing) hold(held, args)
    if (isPassing || !isWorthHolding(res, held)) {
      void settleOnce(null, 'none').then(() => end(...(isPassing ? args : [Buffer.concat(held)])))
      return res
    }
    const body = Buffer.concat(held)
    // The identity cookie is only added to the headers when they are made.
    if (!res.headersSent) res.writeHead(res.statusCode)
    const answer = answerOf(req, res, body.toString())
    void settleOnce(answer, audienceOf(req, answer)).then(() => end(body))
    return res
  }
}

/** Adds what is written to what is held. */
function hold(held: Buffer[], [chunk, encoding]: unknown[]): void {
  if (typeof chunk === 'string') held.push(Buffer.from(chunk, asEncoding(encoding)))
  else if (chunk instanceof Uint8Array) held.push(Buffer.from(chunk))
}

function isWorthHolding(res: Response, held: Buffer[]): boolean {
  const isPage = res.statusCode === 200 && String(res.getHeader('content-type')).startsWith('text/html')
  return (isPage || res.statusCode === 303) && held.reduce((sum, { length }) => sum + length, 0) <= LONGEST_ANSWER
}

function answerOf(req: Request, res: Response, body: string): Answer {
  const headers = Object.fromEntries(
    (res.statusCode === 303 ? REDIRECT_HEADERS : HEADERS).flatMap((name) => {
      const value = name === 'set-cookie' ? cookiesSetBy(res) : res.getHeader(name)
      return value === undefined ? [] : [[name, Array.isArray(value) ? value : String(value)]]
    }),
  )
  const identitySessionId = req.session?.identitySessionId ?? null
  return {
    status: res.statusCode,
    headers,
    body,
    identitySessionId,
    needsGuards: !hasReplacedCookies(req, headers) && once.has(req),
  }
}

/** Who is only sent to sign in has done nothing, and leaves nothing in the stores. */
function audienceOf(req: Request, { status, headers }: Answer): Audience {
  const sessionCookie = identityCookieName(servicesOf(req))
  const hasGiven = ({ name, value }: SetCookie) => value !== '' && (once.get(req)?.byStranger || name === sessionCookie)
  // A page may show what no store should hold, such as recovery codes.
  if (status === 200) return 'process'
  const hasActed = req.signedIn || cookiesIn(headers).some(hasGiven)
  if (!hasActed) return 'none'
  return once.has(req) || formIdIn(req) !== null || hasReplacedCookies(req, headers) ? 'later' : 'waiting'
}

/** The id of the form that was sent; null when it has none. */
export function formIdIn(req: Request): string | null {
  const id = (req.body as Record<string, unknown> | undefined)?.[FORM_ID]
  return typeof id === 'string' && /^[\w-]{16,64}$/.test(id) ? id : null
}

/** A browser that has had this answer never shows these cookies again. */
function hasReplacedCookies(req: Request, headers: Answer['headers']): boolean {
  const shown = cookiesOf(req)
  return cookiesIn(headers).some(
    ({ name, value }) => shown[name] !== undefined && shown[name] !== value && !outlivesAnswer(req, name),
  )
}

function cookiesIn(headers: Answer['headers']): SetCookie[] {
  return [headers['set-cookie'] ?? []].flat().map((each) => parseSetCookie(each))
}

function asEncoding(encoding: unknown): BufferEncoding {
  return typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'
}
