import type { Request, Response } from 'express'
import { listLinkedAccounts, unlinkAccount } from '../../domain/accounts/linked-accounts.ts'
import { readableEmail } from '../../domain/identities/emails.ts'
import { findIdentityProvider, identityProvidersOffered } from '../../domain/identity-providers/identity-providers.ts'
import { isUuid } from '../../domain/uuid.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { redirectWith } from '../flash-messages.ts'
import { textField } from '../form-fields.ts'
import { notFound } from '../http-errors.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'
import { leaveFor } from '../upstream.ts'
import type { Message } from '../../i18n/messages.ts'

const PAGE = '/settings/linked-accounts'

/** GET /settings/linked-accounts */
export async function listAccounts(req: Request, res: Response): Promise<void> {
  await show(req, res, null)
}

/** POST /settings/linked-accounts: to a provider, to link an account there */
export async function createLinkedAccount(req: Request, res: Response): Promise<void> {
  const provider = await findIdentityProvider(servicesOf(req), textField(req.body, 'provider', 100))
  if (provider === null || provider.disabledAt !== null) throw notFound()
  const problem = await leaveFor(req, res, provider, { purpose: 'link', returnTo: null, loginHint: null })
  if (problem === null) return
  res.status(problem.status)
  await show(req, res, problem.sentence)
}

/** POST /settings/linked-accounts/:id/removal */
export async function destroyLinkedAccount(req: Request<{ id: string }>, res: Response): Promise<void> {
  const { id } = req.params
  if (!isUuid(id)) throw notFound()
  const outcome = await unlinkAccount(servicesOf(req), signedInOf(req), id, req.clientInfo)
  switch (outcome.kind) {
    case 'lapsed':
      return askToSignIn(req, res)
    case 'unknown':
      throw notFound()
    case 'only-way-in':
      return redirectWith(req, res, 'account-only-way-in', PAGE)
    case 'unlinked':
      logEvent(req, 'account_unlinked')
      redirectWith(req, res, 'account-unlinked', PAGE, { values: { provider: outcome.provider } })
  }
}

async function show(req: Request, res: Response, problem: Message | null): Promise<void> {
  const services = servicesOf(req)
  const texts = textsOf(req)
  const now = services.clock()
  const [accounts, offered] = await Promise.all([
    listLinkedAccounts(services, signedInOf(req).identityId),
    identityProvidersOffered(services),
  ])
  await render(
    req,
    res,
    'linked-accounts/index',
    { title: texts.t('linked.title'), nav: 'settings' },
    {
      problem,
      accounts: accounts.map(({ id, providerName, email, createdAt, lastUsedAt, isOffered }) => ({
        provider: providerName,
        email: email && readableEmail(email),
        created: texts.time(createdAt, now),
        lastUsed: lastUsedAt === null ? null : texts.time(lastUsedAt, now),
        isOffered,
        action: `${PAGE}/${id}/removal`,
      })),
      providers: offered.map(({ id, name }) => ({ id, name })),
    },
  )
}
