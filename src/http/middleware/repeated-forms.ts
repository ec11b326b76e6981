import { parseCookie, parseSetCookie, type SetCookie } from 'cookie'
import type { NextFunction, Request, Response } from 'express'
import { ipKey } from '../../domain/limits/ip-keys.ts'
import { findLivingIdentitySession } from '../../domain/sign-in/identity-sessions.ts'
import { type Answer, type Audience, RepeatedActs } from '../../domain/repeated-acts.ts'
import type { Services } from '../../domain/services.ts'
import { servicesOf } from '../context.ts'
import { flashCookie } from '../flash-messages.ts'
import { cookiesSetBy, outlivesAnswer } from '../shared-cookies.ts'
import { askToSignIn } from './identity.ts'
import { identityCookieName } from './session.ts'

/** The hidden field with a new value for every rendered form (`views/partials/form-id.ejs`). */
const FORM_ID = 'form_id'

/** Longer responses, such as downloads, are not kept for a repeated request (bytes). */
const LONGEST_ANSWER = 64 * 1024

/** The function that makes the response; it may differ between pages. */
const HEADERS = ['location', 'set-cookie', 'content-type', 'content-security-policy']
const REDIRECT_HEADERS = HEADERS.slice(0, 2)

/** Set by `actOnce`: the act cannot be done a second time, so the same request later is the same act. */
const once = new WeakMap<Request, { byStranger: boolean }>()
const earlier = new WeakMap<Request, Answer>()
const acts = new WeakMap<Services, RepeatedActs>()

/**
 * Idempotent forms: a form that is posted twice (a double click, the retry of a proxy) acts once, and both requests get the
 * first response.
 * Identical requests that arrive while the first is in progress always share it. A later one does for a minute, when it cannot
 * be a new act: it shows a cookie that the first response replaced, or the id of the same form, or its route has `actOnce`.
 * Refusals are not shared: every wrong password counts. It comes after the parser of forms.
 */
export async function answerRepeatedForms(req: Request, res: Response, next: NextFunction): Promise<void> {
  if (req.method !== 'POST' || !isRecognizable(req)) return next()
  await join(req, res, next)
}

/** For a route whose act can be done only once, because of a link, a code or a name in it. It comes after its guards. */
export async function actOnce(req: Request, res: Response, next: NextFunction): Promise<void> {
  const answer = earlier.get(req)
  if (answer !== undefined) return repeat(req, res, answer)
  once.set(req, { byStranger: !req.signedIn })
  if (isRecognizable(req)) return next()
  await join(req, res, next)
}

/**
 * The same for a link from a mail, which works once. Only a repeated form with the same id is the same act. A request with the
 * link alone reads that it has been used.
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
  if (await hasEnded(req, act.answer)) {
    req.isRepeated = true
    return askToSignIn(req, res)
  }
  repeat(req, res, act.answer)
}

function actsOf(services: Services): RepeatedActs {
  const known = acts.get(services)
  if (known !== undefined) return known
  const made = new RepeatedActs()
  acts.set(services, made)
  return made
}

/** Requests without a form id and without a cookie may come from two browsers that sign in the same user. */
function isRecognizable(req: Request): boolean {
  return isNamed(req) || Object.keys(cookiesOf(req)).length > 0
}

/** A session that ended in between wins over the kept response. */
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
 * The key that makes two requests the same. On a double click the browser may already have the first response's cookies, so the
 * form id stands for them, and so does a user name, which can be registered only once.
 */
function nameOf(req: Request): string {
  const cookies = isNamed(req) ? [] : Object.entries(cookiesOf(req)).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const { browser, address } = req.clientInfo
  return JSON.stringify([req.originalUrl, cookies, browser, ipKey(address), req.body ?? null])
}

function isNamed(req: Request): boolean {
  return formIdIn(req) !== null || req.path === '/register'
}

/** Without the flash message, which changes by itself. */
function cookiesOf(req: Request): Record<string, string | undefined> {
  const { [flashCookie(req)]: _notice, ...cookies } = parseCookie(req.headers.cookie ?? '')
  return cookies
}

/**
 * Holds a short response back until it is kept: express-session sends the first half early, and a browser that has it may
 * already send its next request. Others, such as downloads, pass through.
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
  // A download that was aborted is not kept. A short response is kept although its client has gone: the act is done.
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
    // The identity cookie is added only when the headers are written.
    if (!res.headersSent) res.writeHead(res.statusCode)
    const answer = answerOf(req, res, body.toString())
    void settleOnce(answer, audienceOf(req, answer)).then(() => end(body))
    return res
  }
}

/** Appends what is written to what is held. */
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

/** A redirect to the sign-in page has done nothing, and leaves nothing in the stores. */
function audienceOf(req: Request, { status, headers }: Answer): Audience {
  const sessionCookie = identityCookieName(servicesOf(req))
  const hasGiven = ({ name, value }: SetCookie) => value !== '' && (once.get(req)?.byStranger || name === sessionCookie)
  // A page may show what must not be stored, such as recovery codes.
  if (status === 200) return 'process'
  const hasActed = req.signedIn || cookiesIn(headers).some(hasGiven)
  if (!hasActed) return 'none'
  return once.has(req) || formIdIn(req) !== null || hasReplacedCookies(req, headers) ? 'later' : 'waiting'
}

/** The id of the submitted form; null when it has none. */
export function formIdIn(req: Request): string | null {
  const id = (req.body as Record<string, unknown> | undefined)?.[FORM_ID]
  return typeof id === 'string' && /^[\w-]{16,64}$/.test(id) ? id : null
}

/** The cookies that a browser never sends again after this response. */
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
