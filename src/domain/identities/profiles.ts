import { type Message, message } from '../../i18n/messages.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { type IdentityRow, lockIdentity, type ProfileRow, updateProfile } from '../../storage/identities.ts'
import type { Queryable } from '../../storage/postgres.ts'
import type { ClientInfo } from '../client-info.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import type { Services } from '../services.ts'
import { announceClaims } from './claim-changes.ts'
import { type Address, standardClaims } from './claims.ts'

const ADDRESS_FIELDS = ['street_address', 'locality', 'region', 'postal_code', 'country'] as const

/** What users can say about themselves, under the names of the claims (OpenID Connect Core §5.1). */
export const PROFILE_FIELDS = [
  'name',
  'given_name',
  'family_name',
  'nickname',
  'picture',
  'phone_number',
  ...ADDRESS_FIELDS,
] as const
export type ProfileField = (typeof PROFILE_FIELDS)[number]

/** As typed; an empty field has nothing. */
export type Profile = Record<ProfileField, string>

export type ProfileProblems = Partial<Record<ProfileField, Message>>

/** The longest values (characters). */
export const LONGEST_FIELD = 100
export const LONGEST_PICTURE = 500
const LINES_OF_STREET = 3

/** What a user has said, from their row. */
export function profileOf(identity: IdentityRow | null): Profile {
  const address = (identity?.address ?? {}) as Address
  return {
    name: identity?.name ?? '',
    given_name: identity?.givenName ?? '',
    family_name: identity?.familyName ?? '',
    nickname: identity?.nickname ?? '',
    picture: identity?.picture ?? '',
    phone_number: identity?.phoneNumber ?? '',
    street_address: address.street_address ?? '',
    locality: address.locality ?? '',
    region: address.region ?? '',
    postal_code: address.postal_code ?? '',
    country: address.country ?? '',
  }
}

/**
 * Changes what is known about a user, in a transaction of the caller, of what was examined. Application tokens that contain what has
 * changed become stale. `clientInfo` is null for an operator.
 */
export async function changeProfileIn(
  services: Services,
  db: Queryable,
  identityId: string,
  cleaned: Partial<Profile>,
  clientInfo: ClientInfo | null,
): Promise<{ kind: 'changed' | 'unchanged' }> {
  const before = await lockIdentity(db, identityId)
  if (before === null) return { kind: 'unchanged' }
  const profile = rowOf({ ...profileOf(before), ...cleaned })
  const changed = changedClaims(before, { ...before, ...profile })
  if (changed.length === 0) return { kind: 'unchanged' }
  await updateProfile(db, identityId, profile, services.clock())
  const now = await announceClaims(services, db, identityId, { claims: changed })
  const event = { kind: 'profile_changed' as const, identityId, detail: changed.join(', '), actor: services.operator }
  await insertAuditEvents(db, [{ ...event, ...clientInfo }], now)
  return { kind: 'changed' }
}

/** What would be stored of this, and what is wrong with it. */
export function examineProfile(typed: Partial<Profile>): { cleaned: Partial<Profile>; problems: ProfileProblems } {
  const cleaned: Partial<Profile> = Object.fromEntries(
    Object.entries(typed).map(([name, value]) => [name, clean(name as ProfileField, value)]),
  )
  return { cleaned, problems: problemsOf(cleaned) }
}

/** In one form of Unicode, each line without leading, trailing and repeated spaces. */
function clean(field: ProfileField, value: string): string {
  if (field === 'street_address')
    return value
      .split(/\r\n|\r|\n/)
      .map(cleanLine)
      .filter((line) => line !== '')
      .join('\n')
  const line = cleanLine(value)
  if (field === 'phone_number')
    return line
      .normalize('NFKC')
      .replace(/[\s().\-/\u2010-\u2015]/g, '')
      .replace(/^00/, '+')
  return field === 'picture' ? (URL.parse(line)?.href ?? line) : line
}

function cleanLine(line: string): string {
  return line.normalize('NFC').replaceAll(/\s+/gu, ' ').trim()
}

function problemsOf(profile: Partial<Profile>): ProfileProblems {
  const found = Object.entries(profile).map(([name, value]) => [name, problemOf(name as ProfileField, value)] as const)
  return Object.fromEntries(found.filter(([, problem]) => problem !== null))
}

function problemOf(field: ProfileField, value: string): Message | null {
  if (value === '') return null
  const longest = field === 'picture' ? LONGEST_PICTURE : LONGEST_FIELD
  if (Array.from(value).length > longest) return message('profile.too_long', { maximum: longest })
  if (field === 'phone_number') return /^\+[1-9]\d{6,14}$/.test(value) ? null : message('profile.phone_problem')
  if (field === 'picture') return isPictureUrl(value) ? null : message('profile.picture_problem')
  const lines = value.split('\n')
  if (lines.length > LINES_OF_STREET) return message('profile.too_many_lines', { maximum: LINES_OF_STREET })
  return lines.every(isReadable) ? null : message('profile.characters')
}

/** Apps show it to others: a control character could hide text or turn it around (UTS 36). */
function isReadable(line: string): boolean {
  return (
    line.isWellFormed() &&
    /[^\s\p{Default_Ignorable_Code_Point}]/u.test(line) &&
    !/[\p{Cc}\p{Bidi_Control}]/u.test(line)
  )
}

/** Browsers of other users load it, so it has no user name in it, and is encrypted. */
function isPictureUrl(value: string): boolean {
  const url = URL.parse(value)
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && /^[\x21-\x7e]+$/.test(value)
}

/** The columns of a new identity, of what was examined. */
export function profileRowOf(cleaned: Partial<Profile>): ProfileRow {
  return rowOf({ ...profileOf(null), ...cleaned })
}

function rowOf(profile: Profile): ProfileRow {
  const given = (field: ProfileField) => profile[field] || null
  const keyOf = (field: ProfileField) => (profile[field] === '' ? null : loginKeyOf(profile[field]))
  const address = Object.fromEntries(ADDRESS_FIELDS.map((field) => [field, given(field)]).filter(([, part]) => part))
  return {
    name: given('name'),
    givenName: given('given_name'),
    familyName: given('family_name'),
    nameKey: keyOf('name'),
    familyNameKey: keyOf('family_name'),
    nickname: given('nickname'),
    picture: given('picture'),
    phoneNumber: given('phone_number'),
    address: Object.keys(address).length === 0 ? null : address,
  }
}

/** The names of the claims that differ. */
function changedClaims(before: IdentityRow, after: IdentityRow): string[] {
  const [old, next] = [standardClaims(before), standardClaims(after)]
  const names = new Set([...Object.keys(old), ...Object.keys(next)])
  return [...names].filter((name) => JSON.stringify(old[name]) !== JSON.stringify(next[name]))
}
