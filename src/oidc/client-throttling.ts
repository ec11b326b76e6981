import Provider, { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { type AppRow, secretMatches } from '../domain/apps/apps.ts'
import { ipKey } from '../domain/limits/ip-keys.ts'
import { beginAttempt } from '../domain/limits/login-throttling.ts'
import type { Services } from '../domain/services.ts'
import { addSeconds, secondsUntil } from '../domain/time.ts'
import type { Logger } from '../logger.ts'

/** How long an address is watched after a failure (seconds), and how many are. */
const WATCHED_FOR = 3600
const WATCHED_AT_MOST = 10_000

/**
 * Limits guesses at the secrets of apps. Apps that are right cost no store anything: counters are asked about an address only
 * once this process has seen it fail, and from then on before each of its secrets is believed. A public app has no secret,
 * so nothing that others do in its name holds it back.
 */
export class ClientThrottling {
  readonly #services: Services
  readonly #logger: Logger
  /** Until when each address is watched. */
  readonly #watched = new Map<string, Date>()

  constructor(services: Services, logger: Logger) {
    this.#services = services
    this.#logger = logger
  }

  /** Whether this is the app's secret. @throws an error of the protocol (429) when the guess may not be looked at */
  async secretMatches(app: AppRow, secret: string): Promise<boolean> {
    const { ctx } = Provider
    const matches = secretMatches(app, secret, this.#services.clock())
    if (ctx === undefined || (matches && !this.isWatched(ctx.req.clientInfo.address))) return matches
    const refusal = await this.#judge(ctx, app.clientId, matches)
    if (refusal !== null) throw refusal
    return matches
  }

  /** An app that is not known, or proves itself another way than it should, has failed before any secret was looked at. */
  async countRefusal(ctx: KoaContextWithOIDC): Promise<void> {
    if (ctx.state['isJudged'] === true) return
    // All that are not known count as one.
    const refusal = await this.#judge(ctx, ctx.oidc.client?.clientId ?? '', false)
    if (refusal === null) return
    ctx.status = refusal.statusCode
    ctx.body = { error: refusal.error, error_description: refusal.error_description }
    ctx.remove('WWW-Authenticate')
  }

  async #judge(ctx: KoaContextWithOIDC, clientId: string, matches: boolean): Promise<TooManyGuesses | null> {
    const { requestId, clientInfo } = ctx.req
    const { address } = clientInfo
    const log = (event: string, fields: object) =>
      this.#logger.info({ requestId, event, clientId, address, ...fields }, 'event')

    ctx.state['isJudged'] = true
    if (!matches) this.#watch(address)
    const guess = await beginAttempt(this.#services, {
      kind: 'client',
      account: clientId,
      ipAddress: address,
      knownDevice: null,
    })
    if (guess.kind === 'wait') {
      log('too_many_guesses', { suspended: guess.ipBlocked })
      const seconds = secondsUntil(guess.retryAt, this.#services.clock())
      ctx.set({ 'Retry-After': String(seconds), 'Cache-Control': 'no-store' })
      return new TooManyGuesses(guess.ipBlocked)
    }
    const suspension = matches ? await guess.succeeded() : await guess.failed()
    if (suspension) log('address_suspended', { until: suspension.until })
    return null
  }

  /** Whether a secret from this address must not be believed before the limits are asked. */
  isWatched(address: string): boolean {
    const until = this.#watched.get(ipKey(address))
    return until !== undefined && until > this.#services.clock()
  }

  #watch(address: string): void {
    const key = ipKey(address)
    // Put last again, so that the first is the one that failed longest ago.
    this.#watched.delete(key)
    this.#watched.set(key, addSeconds(this.#services.clock(), WATCHED_FOR))
    const [oldest] = this.#watched.keys()
    if (this.#watched.size > WATCHED_AT_MOST && oldest !== undefined) this.#watched.delete(oldest)
  }
}

class TooManyGuesses extends errors.OIDCProviderError {
  constructor(isSuspended: boolean) {
    super(429, 'temporarily_unavailable')
    this.error_description = isSuspended
      ? 'too many wrong tries came from this address; wait, then try again'
      : 'too many wrong secrets were sent for this app; wait, then try again'
  }
}
