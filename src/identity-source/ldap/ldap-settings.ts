/** What the portal has to know of a directory. */
export interface LdapSettings {
  /** `ldap://` or `ldaps://`, with the DN below which users are as its path (RFC 4516). */
  url: string
  /** Of the account with which the portal searches. */
  bindDn: string
  password: string
  /** RFC 4515, with `{login}` for what the user entered; null for the usual one of the kind of directory. */
  userFilter: string | null
  /** The attribute that never changes; null for the usual one of the kind of directory. */
  idAttribute: string | null
  /** From `username`, `email` or a claim to an attribute, beside the usual ones. */
  attributes: Record<string, string>
  /** Members of the group, by its DN, have the role. */
  roleGroups: { role: string; group: string }[]
  /** Certificates (PEM) that are trusted in place of the usual authorities; null for those. */
  ca: string | null
  /** Whether `ldap://` is upgraded to TLS before anything is said. */
  startsTls: boolean
  /** Whether the portal may set passwords. */
  setsPasswords: boolean
}

/** The DN below which users are searched. */
export function baseOf({ url }: Pick<LdapSettings, 'url'>): string {
  return decodeURIComponent(new URL(url).pathname.replace(/^\//, ''))
}
