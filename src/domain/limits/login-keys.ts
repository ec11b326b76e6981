import { domainToASCII } from 'node:url'

/** The key under which spellings of a user name or e-mail address are the same one. Invisible characters make no difference. */
export function loginKeyOf(login: string): string {
  return keyWithInvisible(withoutInvisible(login))
}

/** The key of a user name that was chosen when names could have invisible characters in them. */
export function keyWithInvisible(login: string): string {
  const key = login.normalize('NFKC').trim().toLowerCase()
  const domainAt = key.lastIndexOf('@') + 1
  return key.slice(0, domainAt) + (domainAt === 0 ? key : asciiDomain(key.slice(domainAt)))
}

/** Without zero-width characters, byte order marks, soft hyphens and the like, which come along when text is copied. */
export function withoutInvisible(typed: string): string {
  return typed.replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
}

/** A domain in A-labels and small letters (RFC 5890 §2.3.2.1); one that cannot be written so stays as it is. */
export function asciiDomain(domain: string): string {
  // Not for one that is ASCII: what looks like a number would become an IP address.
  const ascii = /\P{ASCII}/u.test(domain) ? domainToASCII(domain) : domain
  return (ascii === '' ? domain : ascii).toLowerCase()
}
