import type { Request, Response } from 'express'
import { hasPassword, providersThatProve } from '../../domain/accounts/linked-accounts.ts'
import { listSecondFactors } from '../../domain/sign-in/second-factors.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { optionalField, passwordField } from '../form-fields.ts'
import { keepForm } from '../middleware/error-page.ts'
import { render } from '../page.ts'
import type { WaitWords } from '../too-many-attempts.ts'
import { LONGEST_RETURN_TO, safeReturnTo } from '../return-to.ts'
import { enterWithPassword, passkeyQuestion } from '../sign-in.ts'
import { shapeProvider } from '../upstream.ts'

/** GET /reauthentication */
export async function newReauthentication(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  await show(req, res, null, returnTo)
}

/** POST /reauthentication: the same user signs in again, in the same browser. */
export async function createReauthentication(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const password = passwordField(req.body, 'password')
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)

  if (password === '') {
    res.status(422)
    return show(req, res, message('reauthentication.missing'), returnTo)
  }
  const act = async () => {
    const next = await enterWithPassword(req, res, signedIn.username, password, returnTo ?? '/settings', signedIn.id)
    if (next !== null) return res.redirect(303, next)
    await show(req, res, message('reauthentication.wrong'), returnTo)
  }
  await keepForm(req, res, act, (wait) => show(req, res, null, returnTo, wait))
}

async function show(
  req: Request,
  res: Response,
  problem: Message | null,
  returnTo: string | null,
  wait: WaitWords | null = null,
): Promise<void> {
  const { username, identityId } = signedInOf(req)
  const services = servicesOf(req)
  const { factors } = await listSecondFactors(services, identityId)
  const hasPasskey = factors.some(({ signsInAlone }) => signsInAlone)
  await render(
    req,
    res,
    'reauthentications/new',
    { title: textsOf(req).t('reauthentication.title'), narrow: true },
    {
      username,
      problem,
      wait,
      returnTo,
      asksPassword: await hasPassword(services, identityId),
      providers: (await providersThatProve(services, identityId)).map(shapeProvider),
      passkeyOptions: hasPasskey ? passkeyQuestion(services) : null,
    },
  )
}
