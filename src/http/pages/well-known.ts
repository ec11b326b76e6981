import type { Request, Response } from 'express'
import { offersPasskeys } from '../../domain/sign-in/passkeys.ts'
import { addSeconds } from '../../domain/time.ts'
import { servicesOf } from '../context.ts'
import { FACTORS_PAGE } from '../factor-additions.ts'
import { notFound } from '../http-errors.ts'

const DAY = 86_400
/** RFC 9116 §2.5.5 recommends less than a year. The date moves on with every request, as long as the settings are in use. */
const SECURITY_TXT_LIFE = 180 * DAY
/** For programs that ask often; long enough for them, short enough for a change of the settings. */
const AN_HOUR = 'public, max-age=3600'

/** GET /.well-known/webauthn: origins whose pages may use the passkeys of this host (WebAuthn §5.11). */
export function showRelatedOrigins(req: Request, res: Response): void {
  const services = servicesOf(req)
  // An app is no page, and browsers would read its origin as nothing.
  const origins = services.policy.relatedOrigins.filter((origin) => origin.startsWith('https:'))
  if (origins.length === 0 || !offersPasskeys(services)) throw notFound()
  res.setHeader('Cache-Control', AN_HOUR)
  res.json({ origins })
}

/** GET /.well-known/passkey-endpoints: where password managers lead their users (W3C Passkey Endpoints). */
export function showPasskeyEndpoints(req: Request, res: Response): void {
  const services = servicesOf(req)
  if (!offersPasskeys(services)) throw notFound()
  const manage = services.publicUrl + FACTORS_PAGE
  res.setHeader('Cache-Control', AN_HOUR)
  res.json({ enroll: `${manage}/passkey/new`, manage })
}

/** GET /.well-known/change-password: where password managers lead their users (W3C Change Password URL). */
export function leadToPasswordChange(_req: Request, res: Response): void {
  res.redirect(303, '/settings/password')
}

/** GET /.well-known/security.txt (RFC 9116) */
export function showSecurityContact(req: Request, res: Response): void {
  const { policy, publicUrl, clock } = servicesOf(req)
  if (policy.securityContacts.length === 0) throw notFound()
  const lines = [
    ...policy.securityContacts.map((contact) => `Contact: ${contact}`),
    // Whole days: every process, and every request of a day, says the same.
    `Expires: ${addSeconds(clock(), SECURITY_TXT_LIFE).toISOString().slice(0, 10)}T00:00:00Z`,
    ...(policy.securityPolicyUrl === null ? [] : [`Policy: ${policy.securityPolicyUrl}`]),
    `Canonical: ${publicUrl}/.well-known/security.txt`,
  ]
  res.setHeader('Cache-Control', AN_HOUR)
  res.type('text/plain').send(`${lines.join('\n')}\n`)
}
