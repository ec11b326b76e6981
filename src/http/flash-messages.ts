import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { CookieOptions, Request, Response } from 'express'
import type { DerivedKeys } from '../domain/keys/secrets.ts'
import { type Message, message, type MessageKey } from '../i18n/messages.ts'
import { servicesOf } from './context.ts'

/** The flash messages: what a page says about the act before it. */
const MESSAGES = {
  'signed-out': 'flash.signed_out',
  'sign-in-over': 'flash.sign_in_over',
  'sign-in-ended': 'flash.sign_in_ended',
  'sign-in-expired': 'flash.sign_in_expired',
  'not-signed-in': 'flash.not_signed_in',
  'already-signed-in': 'flash.already_signed_in',
  registered: 'flash.registered',
  'registered-again': 'flash.registered_again',
  'account-kept': 'flash.account_kept',
  'recovery-code-used': 'flash.recovery_code_used',
  'reset-link-incomplete': 'flash.reset_link_incomplete',
  'sign-in-disowned': 'flash.sign_in_disowned',
  'signed-out-everywhere': 'flash.signed_out_everywhere',
  'family-ended': 'flash.family_ended',
  disconnected: 'flash.disconnected',
  'access-withdrawn': 'flash.access_withdrawn',
  'session-ended': 'flash.session_ended',
  'others-ended': 'flash.others_ended',
  'device-forgotten': 'flash.device_forgotten',
  'device-renamed': 'flash.device_renamed',
  'second-factor-added': 'flash.second_factor_added',
  'second-factor-renamed': 'flash.second_factor_renamed',
  'second-factor-removed': 'flash.second_factor_removed',
  'no-second-factor': 'flash.no_second_factor',
  'trust-ended': 'flash.trust_ended',
  'browser-trust-ended': 'flash.browser_trust_ended',
  'recovery-codes-replaced': 'flash.recovery_codes_replaced',
  'password-reset': 'flash.password_reset',
  'password-changed': 'flash.password_changed',
  'verification-sent': 'flash.verification_sent',
  'verification-limited': 'flash.verification_limited',
  'address-confirmed': 'flash.address_confirmed',
  'address-change-asked': 'flash.address_change_asked',
  'address-change-withdrawn': 'flash.address_change_withdrawn',
  'address-changed': 'flash.address_changed',
  'language-changed': 'flash.language_changed',
  'profile-changed': 'flash.profile_changed',
  'account-linked': 'flash.account_linked',
  'account-linked-before': 'flash.account_linked_before',
  'account-linked-elsewhere': 'flash.account_linked_elsewhere',
  'too-many-accounts': 'flash.too_many_accounts',
  'account-unlinked': 'flash.account_unlinked',
  'account-only-way-in': 'flash.account_only_way_in',
  'upstream-denied': 'upstream.denied',
  'upstream-unavailable': 'upstream.unavailable',
  'upstream-invalid': 'upstream.invalid',
  'upstream-expired': 'upstream.expired',
  'upstream-not-proved': 'upstream.not_proved',
  'upstream-other-account': 'upstream.other_account',
  'group-deleted': 'admin.flash.group_deleted',
  'group-created': 'admin.flash.group_created',
  'group-changed': 'admin.flash.group_changed',
  'group-members-added': 'admin.flash.group_members_added',
  'group-member-removed': 'admin.flash.group_member_removed',
  'person-created': 'admin.flash.person_created',
  'person-corrected': 'admin.flash.person_corrected',
  'person-disabled': 'admin.flash.person_disabled',
  'person-enabled': 'admin.flash.person_enabled',
  'person-reset-sent': 'admin.flash.person_reset_sent',
  'person-unlocked': 'admin.flash.person_unlocked',
  'person-signed-out': 'admin.flash.person_signed_out',
  'person-factors-removed': 'admin.flash.person_factors_removed',
  'person-kept': 'admin.flash.person_kept',
  'person-deleted': 'admin.flash.person_deleted',
  'person-erased': 'admin.flash.person_erased',
  'person-browser-ended': 'admin.flash.person_browser_ended',
  'person-browser-over': 'admin.flash.person_browser_over',
  'person-app-ended': 'admin.flash.person_app_ended',
  'person-factor-removed': 'admin.flash.person_factor_removed',
  'person-factor-gone': 'admin.flash.person_factor_gone',
  'person-roles-changed': 'admin.flash.person_roles_changed',
  'person-attribute-changed': 'admin.flash.person_attribute_changed',
  'person-joined': 'admin.flash.person_joined',
  'invitation-sent': 'admin.flash.invitation_sent',
  'invitation-revoked': 'admin.flash.invitation_revoked',
  'registration-changed': 'admin.flash.registration_changed',
  'block-lifted': 'admin.flash.block_lifted',
  'mail-resent': 'admin.flash.mail_resent',
  'mails-resent': 'admin.flash.mails_resent',
  'test-mail-sent': 'admin.flash.test_mail_sent',
  'notifications-resent': 'admin.flash.notifications_resent',
  'keys-rotated': 'admin.flash.keys_rotated',
  'key-revoked': 'admin.flash.key_revoked',
  'app-changed': 'admin.flash.app_changed',
  'app-deleted': 'admin.flash.app_deleted',
  'app-disabled': 'admin.flash.app_disabled',
  'app-enabled': 'admin.flash.app_enabled',
  'app-previous-secret-ended': 'admin.flash.app_previous_secret_ended',
  'app-role-added': 'admin.flash.app_role_added',
  'app-role-removed': 'admin.flash.app_role_removed',
  'api-changed': 'admin.flash.api_changed',
  'api-deleted': 'admin.flash.api_deleted',
  'provider-changed': 'admin.flash.provider_changed',
  'provider-deleted': 'admin.flash.provider_deleted',
  'provider-disabled': 'admin.flash.provider_disabled',
  'provider-enabled': 'admin.flash.provider_enabled',
  'provider-registered': 'admin.flash.provider_registered',
  'provider-registered-unreachable': 'admin.flash.provider_registered_unreachable',
  'provider-answers': 'admin.flash.provider_answers',
} as const satisfies Record<string, MessageKey>

type Values = Record<string, string | number>

export type FlashMessage = keyof typeof MESSAGES

/** A message expires after this long between the act and the page that shows it (ms). */
const LIFE_MS = 60_000
/** What a request has taken already. */
const taken = new WeakMap<Request, Flash | null>()
/** Browsers keep at most 4096 bytes of a cookie, and the encoding needs some of them. */
const LONGEST_BACK = 1000

/** A flash message, and the page to go back to from there. */
interface Flash {
  message: Message
  back: string | null
}

/** What a message is about, beside its name. */
interface Details {
  values?: Values
  /** Where the next sign-in leads, where a sign-in is asked for first. */
  back?: string | null
}

/** Redirects after an act with a flash message, which the next page shows once. */
export function redirectWith(
  req: Request,
  res: Response,
  notice: FlashMessage,
  path: string,
  details: Details = {},
): void {
  leaveFlash(req, res, notice, details)
  res.redirect(303, path)
}

/**
 * Leaves a flash message for the page that the response leads to.
 * It travels in a signed cookie. So no link and no other site can forge a message, a browser that was just signed out gets one
 * too, and no session is written for it.
 */
export function leaveFlash(
  req: Request,
  res: Response,
  notice: FlashMessage,
  { values = {}, back = null }: Details = {},
): void {
  const { secrets, clock, publicUrl } = servicesOf(req)
  const details = { values, back: back !== null && back.length > LONGEST_BACK ? null : back }
  const sealed = Buffer.from(JSON.stringify(details)).toString('base64url')
  const value = sign(`${notice}.${clock().getTime()}.${sealed}`, keyFor(secrets[0], publicUrl))
  res.cookie(flashCookie(req), value, cookieOptions(req))
}

/** Takes the flash message for this page out of the cookie, with the page of a form that was sent without a sign-in. */
export function takeFlash(req: Request, res: Response): Flash | null {
  const before = taken.get(req)
  if (before !== undefined) return before
  const flash = readFlash(req, res)
  taken.set(req, flash)
  return flash
}

function readFlash(req: Request, res: Response): Flash | null {
  const { secrets, clock, publicUrl } = servicesOf(req)
  const cookie = parseCookie(req.headers.cookie ?? '')[flashCookie(req)]
  if (cookie === undefined) return null
  res.clearCookie(flashCookie(req), cookieOptions(req))
  const signed = secrets.map((keys) => unsign(cookie, keyFor(keys, publicUrl))).find((each) => each !== false)
  const [name, since, details] = (signed || '').split('.')
  const isCurrent = clock().getTime() - Number(since) < LIFE_MS
  if (!isCurrent || name === undefined || details === undefined || !Object.hasOwn(MESSAGES, name)) return null
  const { values, back } = JSON.parse(Buffer.from(details, 'base64url').toString()) as Required<Details>
  return { message: message(MESSAGES[name as FlashMessage], values), back }
}

/** A portal on another port of this http host may have the same root secret, so the public URL is part of the key. */
function keyFor({ cookies }: DerivedKeys, publicUrl: string): string {
  return `${cookies} ${publicUrl}`
}

/** The name of the flash message cookie. */
export function flashCookie(req: Request): string {
  return servicesOf(req).publicUrl.startsWith('https:') ? '__Host-notice' : 'notice'
}

function cookieOptions(req: Request): CookieOptions {
  return { httpOnly: true, sameSite: 'lax', secure: servicesOf(req).publicUrl.startsWith('https:'), path: '/' }
}
