import type { KoaContextWithOIDC } from 'oidc-provider'
import { REFRESH_REFUSALS, type RefreshOutcome, type RefreshRefusal } from '../domain/metrics.ts'
import type { Services } from '../domain/services.ts'
import { exchangeState } from './exchange-state.ts'

/** Counts the answer to a refresh. Each request is counted in one place: where it is answered. */
export function countRefresh({ metrics }: Services, outcome: RefreshOutcome): void {
  metrics.refreshes.add([outcome])
}

/** Counts what the library has answered, if it was asked for a refresh. */
export function countAnsweredRefresh(services: Services, ctx: KoaContextWithOIDC): void {
  if (ctx.oidc?.params?.['grant_type'] !== 'refresh_token') return
  const { isGraceHit, refusal } = exchangeState(ctx)
  if (ctx.status >= 500) return countRefresh(services, 'failed')
  if (ctx.status < 400) return countRefresh(services, isGraceHit === true ? 'grace' : 'rotated')
  countRefresh(services, 'refused')
  const { error } = ctx.body as { error?: string }
  services.metrics.refreshRefusals.add([ctx.status === 429 ? 'throttled' : reasonOf(refusal?.reason ?? error)])
}

function reasonOf(reason: string | undefined): RefreshRefusal {
  const known = REFRESH_REFUSALS.find((each) => each === reason)
  return known ?? (reason !== undefined && PROOF.has(reason) ? 'invalid_proof' : 'other')
}

/** Errors of a DPoP proof, of a client certificate, and of the key that a family is bound to. */
const PROOF = new Set(['invalid_grant', 'invalid_dpop_proof', 'use_dpop_nonce'])
