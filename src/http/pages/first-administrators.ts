import type { Request, Response } from 'express'
import { isFirstAdministratorLink, registerFirstAdministrator } from '../../domain/accounts/first-administrator.ts'
import { examineRegistration } from '../../domain/identities/identities.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf } from '../context.ts'
import { notFound, TooManyAttempts } from '../http-errors.ts'
import { keepForm } from '../middleware/error-page.ts'
import { enterAsNew, readRegistration, type RegistrationForm, showRegistration } from '../registration-form.ts'

type FirstAdministratorRequest = Request<{ token: string }>

/** GET /first-administrator/:token */
export async function newFirstAdministrator(req: FirstAdministratorRequest, res: Response): Promise<void> {
  if (!(await isFirstAdministratorLink(servicesOf(req), req.params.token))) throw notFound()
  await showForm(req, res)
}

/** POST /first-administrator/:token */
export async function createFirstAdministrator(req: FirstAdministratorRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { token } = req.params
  if (!(await isFirstAdministratorLink(services, token))) throw notFound()
  const sent = readRegistration(req)

  const act = async () => {
    if (!sent.isComplete) {
      const examined = await examineRegistration(services, sent.values, req.clientInfo, { isEntitled: true })
      res.status(422)
      return showForm(req, res, { ...sent, ...examined })
    }
    const outcome = await registerFirstAdministrator(services, token, sent.values, req.clientInfo, services.brand)
    switch (outcome.kind) {
      case 'registered':
        return enterAsNew(req, res, outcome.identity, '/admin')
      case 'refused':
        res.status(422)
        return showForm(req, res, { ...sent, ...outcome })
      case 'throttled':
        throw new TooManyAttempts(outcome, services.clock())
      case 'dead':
        throw notFound()
    }
  }
  await keepForm(req, res, act, (wait) => showForm(req, res, { ...sent, wait }))
}

async function showForm(
  req: FirstAdministratorRequest,
  res: Response,
  form: Partial<RegistrationForm> = {},
): Promise<void> {
  const entitled = {
    action: `/first-administrator/${encodeURIComponent(req.params.token)}`,
    title: message('first_administrator.title'),
    lead: message('first_administrator.lead'),
    email: null,
  }
  await showRegistration(req, res, { ...form, returnTo: null, entitled })
}
