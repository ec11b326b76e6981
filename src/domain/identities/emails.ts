import { domainToUnicode } from 'node:url'
import { asciiDomain, withoutInvisible } from '../limits/login-keys.ts'
import type { Services } from '../services.ts'
import { isOfOneScript, skeletonsOf } from './user-names.ts'

/**
 * An address as it is kept: without what is invisible around and in it, an internationalised domain in A-labels and small letters. One that
 * mixes scripts stays as it was typed, and is then none that is accepted.
 */
export function canonicalEmail(typed: string): string {
  const address = withoutInvisible(typed).trim()
  const domainAt = address.lastIndexOf('@') + 1
  if (domainAt === 0) return address
  const domain = address.slice(domainAt)
  const isInternational = /\P{ASCII}|[xX][nN]--/u.test(domain)
  const isOfScripts = domain.normalize('NFKC').split('.').every(isOfOneScript)
  return address.slice(0, domainAt) + (isInternational && isOfScripts ? asciiDomain(domain) : domain)
}

/**
 * The words a person reads when this is no address mail can be sent to; null when it is one. `address` is canonical. Quoted local
 * parts (RFC 5321 §4.1.2) and those that are not ASCII (RFC 6531) are refused: many mail servers take neither.
 */
export function emailProblem(address: string): string | null {
  const domainAt = address.lastIndexOf('@') + 1
  const [local, domain] = [address.slice(0, Math.max(domainAt - 1, 0)), address.slice(domainAt)]
  const isOne = address.length <= 254 && local.length <= 64 && DOT_ATOM.test(local) && DOMAIN.test(domain)
  return isOne ? null : 'Enter an address like name@example.com.'
}

/** RFC 5322 §3.2.3. */
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/
/** Two labels or more (RFC 1035 §2.3.4), of which the last is not a number. */
const DOMAIN = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+(?!\d+$)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])$/i

/** An address for people to read: its domain in letters, where nobody can take them for those of another domain. */
export function readableEmail(address: string): string {
  const domainAt = address.lastIndexOf('@') + 1
  const domain = address.slice(domainAt)
  const readable = domainToUnicode(domain)
  const isSafe =
    asciiDomain(readable) === domain &&
    readable.split('.').every(isOfOneScript) &&
    // Letters of one script can look like a Latin word, too (UTS 39 §4, whole-script confusables).
    skeletonsOf(readable).every((skeleton) => /\P{ASCII}/u.test(skeleton))
  return isSafe ? address.slice(0, domainAt) + readable : address
}

/** False for somebody who has to confirm their address before an app is connected. What is connected already goes on. */
export function mayConnectApps({ policy }: Services, identity: { emailVerified: boolean }): boolean {
  return policy.emailVerification === 'optional' || identity.emailVerified
}
