import type { Request, Response } from 'express'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { listSecondFactors, renewRecoveryCodes } from '../../domain/sign-in/second-factors.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'
import { showRecoveryCodes } from '../recovery-codes.ts'

/** GET /settings/second-factors/recovery-codes/new */
export async function newRecoveryCodes(req: Request, res: Response): Promise<void> {
  const { factors, recoveryCodesLeft } = await listSecondFactors(servicesOf(req), signedInOf(req).identityId)
  if (factors.length === 0) return res.redirect(303, '/settings/second-factors')
  await render(req, res, 'recovery-codes/new', { title: 'New recovery codes', narrow: true }, { recoveryCodesLeft })
}

/** POST /settings/second-factors/recovery-codes */
export async function createRecoveryCodes(req: Request, res: Response): Promise<void> {
  const signedIn = signedInOf(req)
  const codes = await renewRecoveryCodes(servicesOf(req), signedIn, req.clientInfo)
  if (isLapsed(codes)) return askToSignIn(req, res)
  if (codes === null) return res.redirect(303, '/settings/second-factors')
  logEvent(req, 'recovery_codes_made', { identityId: signedIn.identityId })
  await showRecoveryCodes(req, res, codes, null)
}
