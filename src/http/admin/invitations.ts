import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import type { AnswerOf } from '../../administration/operation.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import { Refused } from '../../domain/refused.ts'
import { servicesOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { linesField, pastedField, textField } from '../form-fields.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'

type InvitationRequest = Request<{ invitation: string }>

const LIST = '/admin/people/invitations'
/** A hundred domains of any length. */
const LONGEST_DOMAINS = 26_000

/** GET /admin/people/invitations */
export async function listInvitations(req: Request, res: Response): Promise<void> {
  const { search = '', cursor } = req.query as { search?: string; cursor?: string }
  const page = await act(req, OPERATIONS.listInvitations, {
    ...(search === '' ? {} : { search }),
    ...(cursor === undefined ? {} : { cursor }),
  })
  const registration = await act(req, OPERATIONS.showRegistration)
  const texts = textsOf(req)
  const now = servicesOf(req).clock()
  await renderAdmin(
    req,
    res,
    'admin/invitations/index',
    { title: texts.t('admin.invitations.title'), section: 'people' },
    {
      search,
      registration,
      invitations: page.items.map((each) => ({
        ...each,
        href: `${LIST}/${each.id}`,
        expires: texts.time(new Date(each.expires_at), now),
      })),
      nextHref: page.next_cursor && `${LIST}?${new URLSearchParams({ search, cursor: page.next_cursor })}`,
    },
  )
}

/** GET /admin/people/invitations/new */
export async function newInvitation(req: Request, res: Response): Promise<void> {
  await showForm(req, res, { email: '', roles: '', groups: '' })
}

/** POST /admin/people/invitations */
export async function createInvitation(req: Request, res: Response): Promise<void> {
  const values = {
    email: pastedField(req.body, 'email'),
    roles: textField(req.body, 'roles'),
    groups: textField(req.body, 'groups'),
  }
  const asked = {
    email: values.email,
    roles: wordsIn(values.roles),
    groups: wordsIn(values.groups),
  }
  const invitation = await orProblem(() => act(req, OPERATIONS.createInvitation, asked))
  if (typeof invitation === 'string') {
    res.status(422)
    return showForm(req, res, values, invitation)
  }
  redirectWith(req, res, 'invitation-sent', LIST, { values: { email: invitation.email } })
}

/** GET /admin/people/invitations/:invitation/resend */
export async function newInvitationMail(req: InvitationRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { id, email } = await act(req, OPERATIONS.showInvitation, req.params)
  await ask(req, res, 'people', {
    title: t('admin.invitations.resend_title', { email }),
    lines: [t('admin.invitations.resend_lead')],
    action: `${LIST}/${id}/resend`,
    button: t('admin.invitations.resend_button'),
    isDangerous: false,
    backHref: LIST,
  })
}

/** POST /admin/people/invitations/:invitation/resend */
export async function createInvitationMail(req: InvitationRequest, res: Response): Promise<void> {
  const { email } = await act(req, OPERATIONS.resendInvitation, req.params)
  redirectWith(req, res, 'invitation-sent', LIST, { values: { email } })
}

/** GET /admin/people/invitations/:invitation/revocation */
export async function newInvitationRevocation(req: InvitationRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { id, email } = await act(req, OPERATIONS.showInvitation, req.params)
  await ask(req, res, 'people', {
    title: t('admin.invitations.revoke_title', { email }),
    lines: [t('admin.invitations.revoke_lead')],
    action: `${LIST}/${id}/revocation`,
    button: t('admin.invitations.revoke_button'),
    backHref: LIST,
  })
}

/** POST /admin/people/invitations/:invitation/revocation */
export async function createInvitationRevocation(req: InvitationRequest, res: Response): Promise<void> {
  const { email } = await act(req, OPERATIONS.showInvitation, req.params)
  await act(req, OPERATIONS.revokeInvitation, req.params)
  redirectWith(req, res, 'invitation-revoked', LIST, { values: { email } })
}

/** GET /admin/people/registration */
export async function editRegistration(req: Request, res: Response): Promise<void> {
  const registration = await act(req, OPERATIONS.showRegistration)
  await showDomains(req, res, registration, registration.allowed_domains.join('\n'))
}

/** POST /admin/people/registration */
export async function updateRegistration(req: Request, res: Response): Promise<void> {
  const asked = { allowed_domains: linesField(req.body, 'domains', LONGEST_DOMAINS) }
  const registration = await orProblem(() => act(req, OPERATIONS.updateRegistration, asked))
  if (typeof registration === 'string') {
    res.status(422)
    return showDomains(
      req,
      res,
      await act(req, OPERATIONS.showRegistration),
      asked.allowed_domains.join('\n'),
      registration,
    )
  }
  redirectWith(req, res, 'registration-changed', LIST)
}

async function showForm(
  req: Request,
  res: Response,
  values: { email: string; roles: string; groups: string },
  problem: string | null = null,
): Promise<void> {
  const title = textsOf(req).t('admin.invitations.new_title')
  const locals = { values, problem, formId: randomUUID() }
  await renderAdmin(req, res, 'admin/invitations/new', { title, section: 'people' }, locals)
}

async function showDomains(
  req: Request,
  res: Response,
  { registration }: AnswerOf<typeof OPERATIONS.showRegistration>,
  domains: string,
  problem: string | null = null,
): Promise<void> {
  const title = textsOf(req).t('admin.registration.title')
  const locals = { registration, domains, problem, formId: randomUUID() }
  await renderAdmin(req, res, 'admin/invitations/registration', { title, section: 'people' }, locals)
}

/** The outcome of an act, or why it is refused, in the words for an operator. */
async function orProblem<T extends object>(perform: () => Promise<T>): Promise<T | string> {
  try {
    return await perform()
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
}

function wordsIn(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
