import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { noteForbidden } from '../../administration/operation.ts'
import type { Operator } from '../../domain/services.ts'
import { ADMIN, SUPPORT } from '../../domain/identities/roles.ts'
import { acrOf } from '../../domain/sign-in/authentication-context.ts'
import { isFresh, isRecent } from '../../domain/sign-in/identity-sessions.ts'
import { hasSecondFactor } from '../../domain/sign-in/second-factors.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { RequestRefused, wordsOf } from '../http-errors.ts'
import { keepFields } from '../kept-fields.ts'
import { requireIdentity } from '../middleware/identity.ts'

/**
 * For the admin pages: an administrator or support, signed in with two factors and not long ago. A change needs a fresh sign-in,
 * as what protects an account does. What each role may do, `perform` decides.
 */
export const requireOperator: RequestHandler = async (req, res, next) => {
  if (!req.signedIn) return requireIdentity(req, res, next)
  const { roles } = req.signedIn
  if (!roles.includes(ADMIN) && !roles.includes(SUPPORT)) throw await refuse(req)
  const services = servicesOf(req)
  const isPage = req.method === 'GET' || req.method === 'HEAD'
  const isProved = acrOf(req.signedIn.amr) === 'mfa'
  if (!isProved && !(await hasSecondFactor(services, req.signedIn.identityId))) throw needsSecondFactor()
  const isAllowed = isPage ? isRecent(services, req.signedIn) : await isFresh(services, req.signedIn)
  if (isProved && isAllowed) return requireIdentity(req, res, next)
  askToProve(req, res, isPage)
}

/** The same for pages of administrators alone. */
export async function requireAdministrator(req: Request, _res: Response, next: NextFunction): Promise<void> {
  if (!signedInOf(req).roles.includes(ADMIN)) throw await refuse(req)
  next()
}

/** Writes down who was refused. */
async function refuse(req: Request): Promise<RequestRefused> {
  await noteForbidden({ ...servicesOf(req), operator: operatorOf(req) }, `${req.method} ${req.baseUrl}${req.path}`)
  return notForYou()
}

/** The user of this request as an operator, for the audit log. */
export function operatorOf(req: Request): Operator {
  const { username, identityId } = signedInOf(req)
  return { name: username, id: identityId, address: req.clientInfo.address }
}

/** A form comes back to the page that it is on, which keeps its fields. */
function askToProve(req: Request, res: Response, isPage: boolean): void {
  if (!isPage) keepFields(req, res)
  const page = isPage ? req.originalUrl : pageOfAdminForm(req)
  res.redirect(303, `/reauthentication?return_to=${encodeURIComponent(page)}`)
}

/** The page of a form that was sent: the Referer's, or the overview. */
function pageOfAdminForm(req: Request): string {
  const from = URL.parse(req.get('referer') ?? '')
  const isOurs = from?.origin === servicesOf(req).publicUrl && from.pathname.startsWith('/admin')
  return isOurs ? from.pathname + from.search : '/admin'
}

export function notForYou(): RequestRefused {
  return new RequestRefused(
    403,
    wordsOf('admin.not_for_you.title', 'admin.not_for_you.sentence', 'admin.not_for_you.advice'),
  )
}

function needsSecondFactor(): RequestRefused {
  return new RequestRefused(
    403,
    wordsOf('admin.second_factor.title', 'admin.second_factor.sentence', 'admin.second_factor.advice'),
    { href: '/settings/second-factors', label: message('admin.second_factor.button') },
  )
}
