import Provider, { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { ApiRow } from '../domain/apps/apis.ts'
import { type AppRow, secretMatches } from '../domain/apps/apps.ts'
import { ipKey } from '../domain/limits/ip-keys.ts'
import { beginAttempt } from '../domain/limits/login-throttling.ts'
import type { Services } from '../domain/services.ts'
import { addSeconds, secondsUntil } from '../domain/time.ts'
import type { Logger } from '../logger.ts'
import { exchangeState } from './exchange-state.ts'

/** How long an IP address is watched after a failure (seconds), and how many at most. */
const WATCHED_FOR = 3600
const WATCHED_AT_MOST = 10_000

/**
 * Brute-force protection of client secrets (rate limiting per IP address and client). Successful clients cost no query: the
 * counters are checked for an IP address only after this process has seen it fail, and from then on before each of its secrets
 * is compared. Public clients have no secret to guess, so they are not throttled.
 */
export class ClientThrottling {
  readonly #services: Services
  readonly #logger: Logger
  /** Until when each IP address is watched. */
  readonly #watched = new Map<string, Date>()

  constructor(services: Services, logger: Logger) {
    this.#services = services
    this.#logger = logger
  }

  /** Whether this is the secret of the app or API. @throws an error of the protocol (429) when the attempt is throttled */
  async secretMatches(client: AppRow | ApiRow, secret: string): Promise<boolean> {
    const { ctx } = Provider
    const matches = secretMatches(client, secret, this.#services.clock())
    if (ctx === undefined || (matches && !this.isWatched(ctx.req.clientInfo.address))) return matches
    const refusal = await this.#judge(ctx, client.clientId, matches)
    if (refusal !== null) throw refusal
    return matches
  }

  /** An unknown app, or one with another authentication method, has failed before any secret was compared. */
  async countRefusal(ctx: KoaContextWithOIDC): Promise<void> {
    const { isAttemptCounted, keysProblem } = exchangeState(ctx)
    // A server for keys that fails is no guess, and nothing can be guessed from its client's assertions.
    if (isAttemptCounted === true || keysProblem !== undefined) return
    // All unknown clients share one counter.
    const refusal = await this.#judge(ctx, ctx.oidc.client?.clientId ?? '', false)
    if (refusal === null) return
    ctx.status = refusal.statusCode
    ctx.body = { error: refusal.error, error_description: refusal.error_description }
    ctx.remove('WWW-Authenticate')
  }

  async #judge(ctx: KoaContextWithOIDC, clientId: string, matches: boolean): Promise<TooManyAttempts | null> {
    const { requestId, clientInfo } = ctx.req
    const { address } = clientInfo
    const log = (event: string, fields: object) =>
      this.#logger.info({ requestId, event, clientId, address, ...fields }, 'event')

    exchangeState(ctx).isAttemptCounted = true
    if (!matches) this.#watch(address)
    const attempt = await beginAttempt(this.#services, {
      kind: 'client',
      account: clientId,
      ipAddress: address,
      knownDevice: null,
    })
    if (attempt.kind === 'wait') {
      log('too_many_guesses', { suspended: attempt.ipBlocked })
      const seconds = secondsUntil(attempt.retryAt, this.#services.clock())
      ctx.set({ 'Retry-After': String(seconds), 'Cache-Control': 'no-store' })
      return new TooManyAttempts(attempt.ipBlocked)
    }
    const ipBlock = matches ? await attempt.succeeded() : await attempt.failed()
    if (ipBlock) log('address_suspended', { until: ipBlock.until })
    return null
  }

  /** Whether the limits must be checked before a secret from this IP address is compared. */
  isWatched(address: string): boolean {
    const until = this.#watched.get(ipKey(address))
    return until !== undefined && until > this.#services.clock()
  }

  #watch(address: string): void {
    const key = ipKey(address)
    // Reinserted at the end, so that the first is the one that failed longest ago.
    this.#watched.delete(key)
    this.#watched.set(key, addSeconds(this.#services.clock(), WATCHED_FOR))
    const [oldest] = this.#watched.keys()
    if (this.#watched.size > WATCHED_AT_MOST && oldest !== undefined) this.#watched.delete(oldest)
  }
}

class TooManyAttempts extends errors.OIDCProviderError {
  constructor(isSuspended: boolean) {
    super(429, 'temporarily_unavailable')
    this.error_description = isSuspended
      ? 'too many wrong tries came from this address; wait, then try again'
      : 'too many wrong secrets were sent for this app; wait, then try again'
  }
}
