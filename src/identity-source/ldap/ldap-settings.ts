import type { LdapConfig } from '../../config.ts'

/** What the portal has to know of a directory. */
export interface LdapSettings extends LdapConfig {
  /** `ldap://` or `ldaps://`, with the DN below which users are as its path (RFC 4516). */
  url: string
  /** Of `bindDn`. */
  password: string
}

/** The DN below which users are searched. */
export function baseOf({ url }: Pick<LdapSettings, 'url'>): string {
  return decodeURIComponent(new URL(url).pathname.replace(/^\//, ''))
}
