import type { Request, Response } from 'express'
import { withSecondProof } from '../domain/sign-in/authentication-context.ts'
import { proofOf } from '../domain/sign-in/identity-sessions.ts'
import type { Added } from '../domain/sign-in/second-factors.ts'
import { type Message, message } from '../i18n/messages.ts'
import { servicesOf, signedInOf } from './context.ts'
import { logEvent } from './event-log.ts'
import { redirectWith } from './flash-messages.ts'
import { optionalField } from './form-fields.ts'
import { askToSignIn } from './middleware/identity.ts'
import { showRecoveryCodes } from './recovery-codes.ts'
import { LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from './return-to.ts'
import { completeSignIn } from './sign-in.ts'

export const FACTORS_PAGE = '/settings/second-factors'

/**
 * Continues after a factor was added. The user has proved to have it, so this sign-in now has two factors. Recovery codes are
 * shown at once, because they cannot be shown later.
 */
export async function leadOnFromAdding(
  req: Request,
  res: Response,
  { proof, recoveryCodes }: Extract<Added, { kind: 'added' }>,
  returnTo: string | null,
): Promise<void> {
  const signedIn = signedInOf(req)
  const { identityId, amr } = signedIn
  logEvent(req, 'second_factor_added', { identityId })
  if (!amr.includes('mfa')) {
    const next = await completeSignIn(
      req,
      res,
      { ...proofOf(signedIn), amr: withSecondProof(amr, proof) },
      FACTORS_PAGE,
    )
    if (next !== FACTORS_PAGE) return askToSignIn(req, res)
  }
  if (recoveryCodes !== null) return showRecoveryCodes(req, res, recoveryCodes, returnTo)
  redirectWith(req, res, 'second-factor-added', withReturnTo(FACTORS_PAGE, returnTo))
}

/** Where a user goes on to who was sent here to set up a second factor. */
export function returnToIn(req: Request): string | null {
  const value = req.method === 'GET' ? req.query['return_to'] : optionalField(req.body, 'return_to', LONGEST_RETURN_TO)
  return safeReturnTo(value, servicesOf(req).publicUrl)
}

/** Why a proved factor was not added. */
export const ADDITION_PROBLEMS: Record<Exclude<Added['kind'], 'added'>, Message> = {
  'too-many': message('methods.too_many'),
  taken: message('methods.taken'),
}
