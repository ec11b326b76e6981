import type { Request, Response } from 'express'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { areLivingRecoveryCodes, listSecondFactors, renewRecoveryCodes } from '../../domain/sign-in/second-factors.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { FACTORS_PAGE } from '../factor-additions.ts'
import { redirectWith } from '../flash-messages.ts'
import { textField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'
import { showRecoveryCodes } from '../recovery-codes.ts'

/** GET /settings/second-factors/recovery-codes/new */
export async function newRecoveryCodes(req: Request, res: Response): Promise<void> {
  const { factors, recoveryCodesLeft } = await listSecondFactors(servicesOf(req), signedInOf(req).identityId)
  if (!factors.some(({ isSecondStep }) => isSecondStep)) return res.redirect(303, '/settings/second-factors')
  await render(
    req,
    res,
    'recovery-codes/new',
    { title: textsOf(req).t('recovery_codes.new_title'), narrow: true },
    { recoveryCodesLeft },
  )
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

/**
 * POST /settings/second-factors/recovery-codes/file: the codes of the page that showed them, as a file. The page sends them,
 * because only their hashes are stored; anything but the codes of this user is refused.
 */
export async function createRecoveryCodesFile(req: Request, res: Response): Promise<void> {
  const signedIn = signedInOf(req)
  const { identityId, username } = signedIn
  const services = servicesOf(req)
  const codes = textField(req.body, 'codes').split(' ')
  const areTheirs = await areLivingRecoveryCodes(services, signedIn, codes)
  if (isLapsed(areTheirs)) return askToSignIn(req, res)
  if (!areTheirs) return redirectWith(req, res, 'recovery-codes-replaced', FACTORS_PAGE)
  const { host } = new URL(services.publicUrl)
  logEvent(req, 'recovery_codes_downloaded', { identityId })
  res.attachment(`recovery-codes-${host.replaceAll(/[^\w.-]/g, '-')}.txt`)
  res.type('text/plain; charset=utf-8')
  res.send([textsOf(req).t('recovery_codes.file_heading', { username, host }), '', ...codes, ''].join('\r\n'))
}
