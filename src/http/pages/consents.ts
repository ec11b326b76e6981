import type { Request, Response } from 'express'
import { findConsent, withdrawConsent } from '../../domain/accounts/consents.ts'
import { accessInWords } from '../../domain/apps/access.ts'
import { findApp, isClientId } from '../../domain/apps/apps.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'

/** GET /apps/:clientId/withdrawal: what withdrawing a consent ends, before it is done. */
export async function confirmDestroyConsent(req: Request<{ clientId: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { clientId } = req.params
  if (!isClientId(clientId)) throw notFound()
  const [consent, app] = await Promise.all([
    findConsent(services, signedInOf(req).identityId, clientId),
    findApp(services, clientId),
  ])
  if (consent === null || app === null) throw notFound()
  const { name: appName } = app
  await render(
    req,
    res,
    'consents/destroy',
    { title: textsOf(req).t('consent.withdraw_title', { app: appName }), narrow: true },
    {
      appName,
      access: await accessInWords(services, app, consent),
      action: `/apps/${encodeURIComponent(clientId)}/withdrawal`,
    },
  )
}

/** POST /apps/:clientId/withdrawal */
export async function destroyConsent(req: Request<{ clientId: string }>, res: Response): Promise<void> {
  const { clientId } = req.params
  if (!isClientId(clientId)) throw notFound()
  const outcome = await withdrawConsent(servicesOf(req), signedInOf(req), clientId, req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  if (outcome === 'none') throw notFound()
  redirectWith(req, res, 'access-withdrawn', '/dashboard')
}
