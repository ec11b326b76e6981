import type { Request, Response } from 'express'
import { addTotpKey, factorNameProblem } from '../../domain/sign-in/second-factors.ts'
import { beginTotpEnrolment } from '../../domain/sign-in/totp.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { pastedField, textField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'
import { ADDITION_PROBLEMS, leadOnFromAdding, returnToIn } from '../factor-additions.ts'

/** GET /settings/second-factors/totp/new */
export async function newTotpKey(req: Request, res: Response): Promise<void> {
  await show(req, res, { name: textsOf(req).t('totp.name'), problems: {}, returnTo: returnToIn(req) })
}

/** POST /settings/second-factors/totp */
export async function createTotpKey(req: Request, res: Response): Promise<void> {
  const name = textField(req.body, 'name')
  const code = pastedField(req.body, 'code', 64)
  const returnTo = returnToIn(req)
  const refuse = async (problems: Problems) => {
    res.status(422)
    return show(req, res, { name, problems, returnTo })
  }

  const nameProblem = factorNameProblem(name)
  if (nameProblem !== null) return refuse({ name: nameProblem })
  const outcome = await addTotpKey(servicesOf(req), signedInOf(req), name, code, req.clientInfo)
  switch (outcome.kind) {
    case 'wrong-code':
      return refuse({ code: message('totp.wrong_code') })
    case 'lost':
      return refuse({ code: message('totp.lost') })
    case 'lapsed':
      return askToSignIn(req, res)
    case 'added':
      return leadOnFromAdding(req, res, outcome, returnTo)
    default:
      return refuse({ code: ADDITION_PROBLEMS[outcome.kind] })
  }
}

interface Problems {
  name?: Message
  code?: Message
}

async function show(
  req: Request,
  res: Response,
  form: { name: string; problems: Problems; returnTo: string | null },
): Promise<void> {
  const { key, uri } = await beginTotpEnrolment(servicesOf(req), signedInOf(req))
  // Loaded lazily: few requests need it.
  const { default: qrCode } = await import('qrcode')
  const svg = await qrCode.toString(uri, { type: 'svg', margin: 2 })
  const image = `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`
  await render(
    req,
    res,
    'totp-keys/new',
    { title: textsOf(req).t('totp.title'), narrow: true },
    { ...form, key, uri, image },
  )
}
