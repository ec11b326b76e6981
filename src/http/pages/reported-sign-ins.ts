import type { Request, Response } from 'express'
import { browserMessage } from '../../domain/user-agents.ts'
import { reportSignIn, findReportableSignIn } from '../../domain/accounts/reported-sign-ins.ts'
import { ipMessage } from '../../domain/geoip.ts'
import { servicesOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { redirectWith } from '../flash-messages.ts'
import { render } from '../page.ts'

type LinkRequest = Request<{ token: string }>

/** GET /not-me/:token: the "this wasn't me" report. It only shows a form, because mail scanners open links too. */
export async function newReportedSignIn(req: LinkRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { token } = req.params
  const signIn = await findReportableSignIn(services, token)
  if (signIn === null) return showLost(req, res)
  const texts = textsOf(req)
  await render(
    req,
    res,
    'reported-sign-ins/new',
    { title: texts.t('reported_sign_in.title'), narrow: true },
    {
      action: `/not-me/${token}`,
      browser: browserMessage(signIn.browser),
      address: ipMessage(services, signIn.address),
      time: texts.time(signIn.createdAt, services.clock()),
    },
  )
}

/** POST /not-me/:token: an attacker knows the password, so the next step is a new one. */
export async function createReportedSignIn(req: LinkRequest, res: Response): Promise<void> {
  const token = await reportSignIn(servicesOf(req), req.params.token, req.clientInfo)
  if (token === null) return showLost(req, res)
  logEvent(req, 'sign_in_disowned')
  redirectWith(req, res, 'sign-in-disowned', `/reset-password/${token}`)
}

/** The same answer for a used, expired, foreign or malformed link, so that it reveals nothing. */
async function showLost(req: LinkRequest, res: Response): Promise<void> {
  res.status(404)
  await render(
    req,
    res,
    'reported-sign-ins/lost',
    { title: textsOf(req).t('reported_sign_in.lost_title'), narrow: true },
    { reference: req.requestId },
  )
}
