import type { Request, Response } from 'express'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { endTrust } from '../../domain/sign-in/trusted-browsers.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { FACTORS_PAGE } from '../factor-additions.ts'
import { redirectWith } from '../flash-messages.ts'
import { askToSignIn } from '../middleware/identity.ts'

/** POST /settings/trusted-browsers/removal: every browser is asked for the second step again. */
export async function createTrustRemoval(req: Request, res: Response): Promise<void> {
  const signedIn = signedInOf(req)
  const outcome = await endTrust(servicesOf(req), signedIn, req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  logEvent(req, 'browser_trust_ended', { identityId: signedIn.identityId })
  redirectWith(req, res, 'trust-ended', FACTORS_PAGE)
}
