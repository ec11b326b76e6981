import type { Request, Response } from 'express'
import { browserMessage } from '../../domain/user-agents.ts'
import { LONGEST_CREDENTIAL, offersPasskeys, passkeyEnrolmentOptions } from '../../domain/sign-in/passkeys.ts'
import { addPasskey, factorNameProblem, LONGEST_FACTOR_NAME } from '../../domain/sign-in/second-factors.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { textField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { ADDITION_PROBLEMS, leadOnFromAdding, returnToIn } from '../factor-additions.ts'

/** GET /settings/second-factors/passkey/new: asks the browser for a passkey (WebAuthn registration). */
export async function newPasskey(req: Request, res: Response): Promise<void> {
  if (!offersPasskeys(servicesOf(req))) throw notFound()
  const name = textsOf(req).say(browserMessage(req.clientInfo.browser)).slice(0, LONGEST_FACTOR_NAME)
  await show(req, res, { name, problem: null, returnTo: returnToIn(req) })
}

/** POST /settings/second-factors/passkey */
export async function createPasskey(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  if (!offersPasskeys(services)) throw notFound()
  const name = textField(req.body, 'name')
  const credential = textField(req.body, 'credential', LONGEST_CREDENTIAL)
  const returnTo = returnToIn(req)
  const refuse = async (problem: Message) => {
    res.status(422)
    return show(req, res, { name, problem, returnTo })
  }

  const nameProblem = factorNameProblem(name)
  if (nameProblem !== null) return refuse(nameProblem)
  const outcome = await addPasskey(services, signedInOf(req), name, credential, req.clientInfo)
  switch (outcome.kind) {
    case 'refused':
      return refuse(message('passkeys.failed'))
    case 'lapsed':
      return askToSignIn(req, res)
    case 'added':
      return leadOnFromAdding(req, res, outcome, returnTo)
    default:
      return refuse(ADDITION_PROBLEMS[outcome.kind])
  }
}

async function show(
  req: Request,
  res: Response,
  form: { name: string; problem: Message | null; returnTo: string | null },
): Promise<void> {
  const options = JSON.stringify(await passkeyEnrolmentOptions(servicesOf(req), signedInOf(req)))
  await render(
    req,
    res,
    'passkeys/new',
    { title: textsOf(req).t('passkeys.title'), narrow: true },
    { ...form, options },
  )
}
