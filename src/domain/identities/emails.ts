import { domainToUnicode } from 'node:url'
import { type Message, message } from '../../i18n/messages.ts'
import { asciiDomain, withoutInvisible } from '../limits/login-keys.ts'
import type { Services } from '../services.ts'
import { isOfOneScript, skeletonsOf } from './user-names.ts'

/**
 * An e-mail address as it is stored: without white space around it and invisible characters in it, an internationalised domain
 * in A-labels and small letters. A domain that mixes scripts stays as it was typed, and `emailProblem` refuses it.
 */
export function canonicalEmail(typed: string): string {
  const email = withoutInvisible(typed).trim()
  const domainAt = email.lastIndexOf('@') + 1
  if (domainAt === 0) return email
  const domain = email.slice(domainAt)
  const isInternational = /\P{ASCII}|[xX][nN]--/u.test(domain)
  const isOfScripts = domain.normalize('NFKC').split('.').every(isOfOneScript)
  return email.slice(0, domainAt) + (isInternational && isOfScripts ? asciiDomain(domain) : domain)
}

/**
 * Why mail cannot be sent to this e-mail address; null when it can. `email` is canonical. Quoted
 * local parts (RFC 5321 §4.1.2) and those that are not ASCII (RFC 6531) are refused: many mail servers take neither.
 */
export function emailProblem(email: string): Message | null {
  const domainAt = email.lastIndexOf('@') + 1
  const [local, domain] = [email.slice(0, Math.max(domainAt - 1, 0)), email.slice(domainAt)]
  const isOne = email.length <= 254 && local.length <= 64 && DOT_ATOM.test(local) && DOMAIN.test(domain)
  return isOne ? null : message('email.not_one')
}

/** RFC 5322 §3.2.3. */
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/
/** Two labels or more (RFC 1035 §2.3.4), of which the last is not a number. */
const DOMAIN = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+(?!\d+$)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])$/i

/** An e-mail address for people to read: its domain in letters, unless it could be mistaken for another domain (homographs). */
export function readableEmail(email: string): string {
  const domainAt = email.lastIndexOf('@') + 1
  const domain = email.slice(domainAt)
  const readable = domainToUnicode(domain)
  const isSafe =
    asciiDomain(readable) === domain &&
    readable.split('.').every(isOfOneScript) &&
    // Letters of one script can look like a Latin word, too (UTS 39 §4, whole-script confusables).
    skeletonsOf(readable).every((skeleton) => /\P{ASCII}/u.test(skeleton))
  return isSafe ? email.slice(0, domainAt) + readable : email
}

/**
 * False for a user who must confirm their e-mail address before an app is connected: always with EMAIL_VERIFICATION, and where
 * only some domains may register, or typing a foreign address would be enough. Connected apps stay connected.
 */
export function mayConnectApps(
  { policy }: Services,
  { emailVerified, hasDomains }: { emailVerified: boolean; hasDomains: boolean },
): boolean {
  return emailVerified || (policy.emailVerification === 'optional' && !(policy.registration === 'open' && hasDomains))
}
