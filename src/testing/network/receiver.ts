import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createRemoteJWKSet, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose'
import type { SigningAlg } from '../../domain/keys/signing-keys.ts'

export interface LogoutClaims extends JWTPayload {
  jti: string
  sub?: string
  sid?: string
  fam?: string
}

export interface EventClaims extends JWTPayload {
  jti: string
  sub_id: { user: { sub: string }; session?: { id: string } }
  fam?: string
  events: Record<string, Record<string, unknown>>
}

/** One request and its outcome. `fault` is the violation of the specification; null means none. */
export interface Attempt {
  kind: 'logout' | 'event'
  claims: JWTPayload
  fault: string | null
}

/**
 * `right`: 200 or 202 for a valid request, 400 for an invalid one. The others are misbehaviour: it never answers, hangs up, or
 * answers with this status after a delay.
 */
export type ReceiverAnswer =
  'right' | 'never' | 'hang up' | { status?: number; headers?: Record<string, string>; body?: string; afterMs?: number }

/** An app's receiver of back-channel notifications: a real server, as strict as the specifications. */
export interface Receiver {
  /** For `backchannelLogoutUri`. */
  uri: string
  /** For `eventReceiverUri`. */
  eventsUri: string
  /** The accepted tokens, in the order of arrival; a repeated notification has the same `jti` twice. */
  logouts: LogoutClaims[]
  events: EventClaims[]
  /** Every request, the rejected ones included. */
  attempts: Attempt[]
  /** How it answers from now on. */
  answer: ReceiverAnswer
  /** Resolve with what has arrived as soon as it is this much. @throws after ten seconds, with what has arrived */
  waitForLogouts(count: number): Promise<LogoutClaims[]>
  waitForEvents(count: number): Promise<EventClaims[]>
  waitForAttempts(count: number): Promise<Attempt[]>
  close(): Promise<void>
}

export interface ReceiverOptions {
  issuer: string
  clientId: string
  /** The algorithm of the app's ID tokens. */
  alg?: SigningAlg
  /** Default: the issuer's /oauth/jwks. */
  keys?: JWTVerifyGetKey
  /** The portal's clock, where a test moves it. */
  clock?: () => Date
  /** Default: any free port. A restarted app listens on its old one. */
  port?: number
}

const PATIENCE_MS = 10_000

export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const verify = verifierOf(options)
  const news = new EventEmitter().setMaxListeners(0)
  const logouts: LogoutClaims[] = []
  const events: EventClaims[] = []
  const attempts: Attempt[] = []
  let answer: ReceiverAnswer = 'right'

  async function receive(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const kind = req.url === '/events' ? 'event' : 'logout'
    const attempt = await attemptOf(kind, req, await text(req), verify)
    attempts.push(attempt)
    if (attempt.fault === null && isTaken(answer)) {
      if (kind === 'logout') logouts.push(attempt.claims as LogoutClaims)
      else events.push(attempt.claims as EventClaims)
    }
    give(answer, attempt, res)
    news.emit('news')
  }
  const server = createServer((req, res) => void receive(req, res))
  await once(server.listen(options.port ?? 0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  async function waitFor<T>(things: T[], count: number): Promise<T[]> {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    while (things.length < count) {
      await once(news, 'news', { signal }).catch(() => {
        assert.fail(`${options.clientId} waits for ${count}, has ${things.length}, and got ${JSON.stringify(attempts)}`)
      })
    }
    return things
  }

  return {
    uri: `${url}/logout`,
    eventsUri: `${url}/events`,
    logouts,
    events,
    attempts,
    get answer() {
      return answer
    },
    set answer(next) {
      answer = next
    },
    waitForLogouts: (count) => waitFor(logouts, count),
    waitForEvents: (count) => waitFor(events, count),
    waitForAttempts: (count) => waitFor(attempts, count),
    async close() {
      if (!server.listening) return
      const closed = once(server.close(), 'close')
      server.closeAllConnections()
      await closed
    },
  }
}

function isTaken(answer: ReceiverAnswer): boolean {
  if (typeof answer === 'string') return answer === 'right'
  return answer.status === undefined || (answer.status >= 200 && answer.status < 300)
}

function give(answer: ReceiverAnswer, { kind, fault }: Attempt, res: ServerResponse): void {
  if (answer === 'never') return
  if (answer === 'hang up') return void res.destroy()
  const { status, headers = {}, body, afterMs = 0 } = answer === 'right' ? {} : answer
  const right = kind === 'logout' ? 200 : 202
  const problem = JSON.stringify({ err: 'invalid_request', error: 'invalid_request', description: fault })
  const respond = () => {
    res.writeHead(status ?? (fault === null ? right : 400), { 'Cache-Control': 'no-store', ...headers })
    res.end(body ?? (fault === null ? undefined : problem))
  }
  if (afterMs === 0) respond()
  else setTimeout(respond, afterMs).unref()
}

type Verify = (token: string, typ: string) => Promise<JWTPayload>

function verifierOf({ issuer, clientId, alg = 'RS256', keys, clock = () => new Date() }: ReceiverOptions): Verify {
  const published = keys ?? createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`), { cooldownDuration: 0 })
  return async (token, typ) => {
    const currentDate = clock()
    const rules = { issuer, audience: clientId, algorithms: [alg], typ, currentDate }
    const { payload, protectedHeader } = await jwtVerify(token, published, {
      ...rules,
      requiredClaims: ['iat', 'jti', 'events'],
    })
    assert.deepEqual(
      Object.keys(protectedHeader).toSorted(),
      ['alg', 'kid', 'typ'],
      'the header has more than it needs',
    )
    assert.equal(payload.aud, clientId, 'it is for others too')
    assert.ok((payload.iat ?? Infinity) <= currentDate.getTime() / 1000 + 5, 'it comes from the future')
    return payload
  }
}

async function attemptOf(kind: Attempt['kind'], req: IncomingMessage, body: string, verify: Verify): Promise<Attempt> {
  let claims: JWTPayload = {}
  try {
    assert.equal(req.method, 'POST', 'it is no POST')
    claims = await verify(
      kind === 'logout' ? tokenInForm(req, body) : tokenInBody(req, body),
      kind === 'logout' ? 'logout+jwt' : 'secevent+jwt',
    )
    if (kind === 'logout') checkLogout(claims)
    else checkEvent(claims)
    return { kind, claims, fault: null }
  } catch (error) {
    return { kind, claims, fault: (error as Error).message }
  }
}

/** OpenID Connect Back-Channel Logout 1.0 §2.5. */
function tokenInForm(req: IncomingMessage, body: string): string {
  assert.equal(req.headers['content-type'], 'application/x-www-form-urlencoded')
  const parameters = [...new URLSearchParams(body)]
  assert.deepEqual(
    parameters.map(([name]) => name),
    ['logout_token'],
  )
  return parameters[0]?.[1] ?? ''
}

/** RFC 8935 §2.1. */
function tokenInBody(req: IncomingMessage, body: string): string {
  assert.equal(req.headers['content-type'], 'application/secevent+jwt')
  assert.equal(req.headers['accept'], 'application/json')
  return body
}

/** OpenID Connect Back-Channel Logout 1.0 §2.6, with everything that is only recommended there. */
function checkLogout({ iat = 0, exp = Infinity, ...claims }: JWTPayload): void {
  assert.ok(exp - iat <= 120, 'it is good for more than two minutes')
  assert.deepEqual(claims['events'], { 'http://schemas.openid.net/event/backchannel-logout': {} })
  assert.equal('nonce' in claims, false, 'it has a nonce')
  assert.ok(isText(claims.sub) || isText(claims['sid']), 'it names neither a person nor a session')
  for (const name of ['sub', 'sid']) assert.ok(!(name in claims) || isText(claims[name]), `its ${name} is no text`)
  assert.ok(isText(claims.jti), 'it has no id')
}

/** RFC 8417 §2.2, Shared Signals Framework 1.0, and CAEP 1.0 §2 and §3. */
function checkEvent(claims: JWTPayload): void {
  for (const name of ['exp', 'sub', 'nonce']) assert.equal(name in claims, false, `it has ${name}`)
  assert.ok(isText(claims.jti), 'it has no id')
  const subject = claims['sub_id'] as {
    format: string
    user: Record<string, unknown>
    session: Record<string, unknown>
  }
  assert.equal(subject.format, 'complex')
  assert.deepEqual({ ...subject.user, sub: '' }, { format: 'iss_sub', iss: claims.iss, sub: '' })
  assert.ok(isText(subject.user['sub']), 'it names no user')
  assert.deepEqual({ ...subject.session, id: '' }, { format: 'opaque', id: '' })
  assert.ok(isText(subject.session['id']), 'it names no session')

  const events = Object.entries(claims['events'] as Record<string, Record<string, unknown>>)
  assert.equal(events.length, 1, 'it has not one event')
  const [[type, event]] = events as [(typeof events)[number]]
  const name =
    /^https:\/\/schemas\.openid\.net\/secevent\/caep\/event-type\/(session-revoked|token-claims-change)$/.exec(type)
  assert.notEqual(name, null, `the event ${type} is unknown`)
  const { event_timestamp: happened, initiating_entity: by, reason_admin: admin, reason_user: user, ...rest } = event
  assert.ok(Number.isInteger(happened) && (happened as number) <= (claims.iat ?? 0), 'it happened in the future')
  assert.ok(['user', 'admin', 'policy', 'system'].includes(by as string), `the initiator ${String(by)} is unknown`)
  for (const reason of [admin, user]) assert.ok(reason === undefined || isText((reason as { en?: unknown }).en))
  assert.deepEqual(Object.keys(rest), name?.[1] === 'token-claims-change' ? ['claims'] : [])
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}
