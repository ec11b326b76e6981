import type { NextFunction, Request, Response } from 'express'
import {
  acceptInvitation,
  type InvitationRow,
  isAddressTaken,
  lookAtInvitation,
  takesInvitations,
} from '../../domain/accounts/invitations.ts'
import { readableEmail } from '../../domain/identities/emails.ts'
import { examineRegistration } from '../../domain/identities/identities.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { notFound, TooManyAttempts } from '../http-errors.ts'
import { keepForm } from '../middleware/error-page.ts'
import { render } from '../page.ts'
import { enterAsNew, readRegistration, type RegistrationForm, showRegistration } from '../registration-form.ts'

type InvitationRequest = Request<{ token: string }>

/** Where operators create all accounts, nothing tells of invitations. */
export function requireInvitations(req: Request, _res: Response, next: NextFunction): void {
  next(takesInvitations(servicesOf(req)) ? undefined : notFound())
}

/** GET /invitation/:token: shows the form and changes nothing, because mail scanners follow links, too. */
export async function newInvitedAccount(req: InvitationRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const invitation = await lookAtInvitation(services, req.params.token)
  if (invitation === null) return showDead(req, res)
  if (await isAddressTaken(services, invitation)) return showTaken(req, res)
  await showForm(req, res, invitation)
}

/** POST /invitation/:token */
export async function createInvitedAccount(req: InvitationRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { token } = req.params
  const invitation = await lookAtInvitation(services, token)
  if (invitation === null) return showDead(req, res)
  const sent = readRegistration(req, invitation.email)

  const act = async () => {
    if (!sent.isComplete) {
      const examined = await examineRegistration(services, sent.values, req.clientInfo, { isEntitled: true })
      res.status(422)
      return showForm(req, res, invitation, { ...sent, ...examined })
    }
    const outcome = await acceptInvitation(services, token, sent.values, req.clientInfo, services.brand)
    switch (outcome.kind) {
      case 'registered':
        return enterAsNew(req, res, outcome.identity, null)
      case 'refused':
        res.status(422)
        return showForm(req, res, invitation, { ...sent, ...outcome })
      case 'throttled':
        throw new TooManyAttempts(outcome, services.clock())
      case 'dead':
        return showDead(req, res)
      case 'taken':
        return showTaken(req, res)
    }
  }
  await keepForm(req, res, act, (wait) => showForm(req, res, invitation, { ...sent, wait }))
}

async function showForm(
  req: InvitationRequest,
  res: Response,
  { email }: InvitationRow,
  form: Partial<RegistrationForm> = {},
): Promise<void> {
  const entitled = {
    action: `/invitation/${encodeURIComponent(req.params.token)}`,
    title: message('register.title'),
    lead: message('invitation.lead', { email: readableEmail(email) }),
    email,
  }
  await showRegistration(req, res, { ...form, returnTo: null, entitled })
}

async function showDead(req: Request<{ token: string }>, res: Response): Promise<void> {
  res.status(404)
  await render(req, res, 'invitations/dead', { title: textsOf(req).t('link.dead_title'), narrow: true }, {})
}

async function showTaken(req: Request<{ token: string }>, res: Response): Promise<void> {
  res.status(409)
  await render(req, res, 'invitations/taken', { title: textsOf(req).t('invitation.taken_title'), narrow: true }, {})
}
