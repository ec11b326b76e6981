import type { Request, Response } from 'express'
import { readableAddress } from '../../domain/identities/emails.ts'
import { findPendingAddressChange } from '../../domain/accounts/email-changes.ts'
import { countSecondFactors } from '../../domain/sign-in/second-factors.ts'
import { portalOf, signedInOf } from '../context.ts'
import { takeNotice } from '../flash-messages.ts'
import { render } from '../page.ts'

/** GET /settings */
export async function showSettings(req: Request, res: Response): Promise<void> {
  const { identityId, username, email, emailVerified } = signedInOf(req)
  const factorCount = await countSecondFactors(portalOf(req), identityId)
  const pending = await findPendingAddressChange(portalOf(req), identityId)
  await render(
    req,
    res,
    'settings/show',
    { title: 'Settings', nav: 'settings', notice: takeNotice(req, res) },
    {
      username,
      email: readableAddress(email),
      emailVerified,
      pendingEmail: pending && readableAddress(pending.email),
      factorCount,
    },
  )
}
