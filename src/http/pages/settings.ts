import type { Request, Response } from 'express'
import { identityProvidersOffered } from '../../domain/identity-providers/identity-providers.ts'
import { readableEmail } from '../../domain/identities/emails.ts'
import { setsPasswordOf } from '../../domain/accounts/new-passwords.ts'
import { findPendingEmailChange } from '../../domain/accounts/email-changes.ts'
import { countSecondFactors } from '../../domain/sign-in/second-factors.ts'
import { LANGUAGES, nameOfLanguage } from '../../i18n/catalogues.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { render } from '../page.ts'

const DAY = 86_400

/** GET /settings */
export async function showSettings(req: Request, res: Response): Promise<void> {
  const { identityId, username, email, emailVerified, sourceId } = signedInOf(req)
  const factorCount = await countSecondFactors(servicesOf(req), identityId)
  const pending = await findPendingEmailChange(servicesOf(req), identityId)
  await render(
    req,
    res,
    'settings/show',
    { title: textsOf(req).t('layout.settings'), nav: 'settings' },
    {
      username,
      email: readableEmail(email),
      emailVerified,
      pendingEmail: pending && readableEmail(pending.email),
      factorCount,
      isElsewhere: sourceId !== null,
      setsPassword: setsPasswordOf(servicesOf(req), { sourceId }),
      hasProviders: (await identityProvidersOffered(servicesOf(req))).length > 0,
      languages: LANGUAGES.map((language) => ({ language, name: nameOfLanguage(language) })),
      // Of less than a day a user is promised nothing.
      deletionDays: Math.floor(servicesOf(req).lifetimes.deletionGrace / DAY),
    },
  )
}
