import type { Entry } from 'ldapts'
import type { SourceUser } from '../../domain/identity-source.ts'
import { STATUS_ATTRIBUTES, statusOf } from './account-status.ts'
import { bytesOf, valueOf } from './attribute-values.ts'
import { guidText } from './guid.ts'
import { isGuid } from './user-filters.ts'

/** Where what the portal knows of a user is in an entry: its id, and an attribute for `username`, `email` and each claim. */
export interface Mapping {
  idAttribute: string
  attributes: Record<string, string>
}

/** Beside `username`, which differs, and what the operator has set. */
export const USUAL_ATTRIBUTES = {
  email: 'mail',
  name: 'displayName',
  given_name: 'givenName',
  family_name: 'sn',
  locale: 'preferredLanguage',
  phone_number: 'telephoneNumber',
}

export function attributesOf({ idAttribute, attributes }: Mapping): string[] {
  return [...new Set([idAttribute, ...Object.values(attributes), ...STATUS_ATTRIBUTES])]
}

/** Null for an entry without id, user name or address, which cannot be a user of the portal. */
export function userOf(
  entry: Entry,
  { idAttribute, attributes }: Mapping,
  now: Date,
): Omit<SourceUser, 'roles'> | null {
  const { username: usernameAttribute, email: emailAttribute, ...claimAttributes } = attributes
  const id = idOf(entry, idAttribute)
  const username = valueOf(entry, usernameAttribute ?? '')
  const email = valueOf(entry, emailAttribute ?? '')
  if (id === null || username === null || email === null) return null
  const claims = Object.entries(claimAttributes).flatMap(([claim, attribute]) => {
    const value = valueOf(entry, attribute)
    return value === null ? [] : [[claim, value] as const]
  })
  return {
    id,
    username,
    email,
    // It is the organisation that writes addresses into its directory, not the user.
    emailVerified: true,
    status: statusOf(entry, now),
    claims: Object.fromEntries(claims),
  }
}

/** As it is stored in the portal; null where the entry has none, or several. */
export function idOf(entry: Entry, idAttribute: string): string | null {
  const [value, ...more] = bytesOf(entry, idAttribute)
  if (value === undefined || more.length > 0) return null
  if (isGuid(idAttribute)) return value.length === 16 ? guidText(value) : null
  const text = value.toString('utf8')
  return text === '' || text.length > 255 ? null : text
}
