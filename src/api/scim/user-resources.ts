import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { DirectoryUser, DirectoryWrite } from '../../domain/accounts/directory-users.ts'
import { canonicalEmail } from '../../domain/identities/emails.ts'
import { examineProfile, type Profile, PROFILE_FIELDS, profileOf } from '../../domain/identities/profiles.ts'
import { supportedLanguage } from '../../i18n/language-choice.ts'
import { isTimeZone } from '../../i18n/times.ts'
import { assign, isObject, isPrimary, type Values } from './resources.ts'
import { ENTERPRISE_SCHEMA, USER_SCHEMA } from './schemas.ts'
import { invalidValue } from './scim-errors.ts'

// What of a user in a directory is what of an identity. The directory reads back what it wrote; where the portal has another value
// by now, because the user or an operator changed it, it reads that one.

/** What the portal itself has of a user of a directory. Empty is nothing. */
export interface PortalValues {
  email: string
  profile: Profile
  locale: string | null
  zoneinfo: string | null
  /** Attributes of the identity, for the claims of apps. */
  facts: Record<FactName, string>
}

/** The attributes of an identity that a directory sets, and where it has them. */
const FACTS = {
  title: ['title'],
  employee_number: [ENTERPRISE_SCHEMA, 'employeeNumber'],
  cost_center: [ENTERPRISE_SCHEMA, 'costCenter'],
  organization: [ENTERPRISE_SCHEMA, 'organization'],
  division: [ENTERPRISE_SCHEMA, 'division'],
  department: [ENTERPRISE_SCHEMA, 'department'],
} as const
type FactName = keyof typeof FACTS
const FACT_NAMES = Object.keys(FACTS) as FactName[]

const ADDRESS_PARTS = {
  street_address: 'streetAddress',
  locality: 'locality',
  region: 'region',
  postal_code: 'postalCode',
  country: 'country',
} as const
const ADDRESS_FIELDS = Object.keys(ADDRESS_PARTS) as (keyof typeof ADDRESS_PARTS)[]

/** A user as a directory reads it (RFC 7643 §4.1). */
export function userResource(user: DirectoryUser, publicUrl: string): Values {
  const base = `${publicUrl}/scim/v2`
  const values = valuesOf(user)
  const resource = {
    schemas: [USER_SCHEMA, ...(Object.hasOwn(values, ENTERPRISE_SCHEMA) ? [ENTERPRISE_SCHEMA] : [])],
    id: user.id,
    ...values,
    groups: user.groupIds.map((id, index) => ({
      value: id,
      $ref: `${base}/Groups/${id}`,
      display: user.groups[index],
      type: 'direct',
    })),
  }
  const lastModified = Math.max(user.updatedAt.getTime(), user.directory?.updatedAt.getTime() ?? 0)
  const meta = {
    resourceType: 'User',
    created: user.createdAt.toISOString(),
    lastModified: new Date(lastModified).toISOString(),
    location: `${base}/Users/${user.id}`,
    version: versionOf(resource),
  }
  return { ...resource, meta }
}

/** The entity tag of what a directory reads. */
export function versionOf(resource: object): string {
  return `W/"${createHash('sha256').update(JSON.stringify(resource)).digest('base64url').slice(0, 22)}"`
}

/** What a directory can write of a user, as it is now. */
export function valuesOf(user: DirectoryUser): Values {
  const { directory } = user
  const values: Values = {
    ...(directory === null || directory.externalId === null ? {} : { externalId: directory.externalId }),
    userName: directory?.userName ?? user.username,
    ...structuredClone(directory?.attributes),
    active: isActive(user),
  }
  overlay(values, portalValuesOf(user))
  return values
}

export function isActive({ disabledAt, erasedFrom }: Pick<DirectoryUser, 'disabledAt' | 'erasedFrom'>): boolean {
  return disabledAt === null && erasedFrom === null
}

/**
 * What is to be written for a user. @param before what the directory wrote last (`writtenBy`), or what it read: an attribute that is
 * missing in both stays as the user has it @throws ScimError invalidValue
 */
export function writeOf(next: Values, before: Values): DirectoryWrite {
  const { userName, externalId, active, ...attributes } = next
  if (typeof userName !== 'string' || userName.trim() === '') throw invalidValue('userName is missing')
  const wanted = portalValuesIn(next)
  const known = portalValuesIn(before)
  // A value that was there and is not any more is removed; one that was never there is left to the user.
  const isAsserted = (value: string | null, old: string | null) => Boolean(value) || Boolean(old)
  const fields = PROFILE_FIELDS.filter((field) => isAsserted(wanted.profile[field], known.profile[field]))
  const facts = FACT_NAMES.filter((name) => isAsserted(wanted.facts[name], known.facts[name]))
  return {
    userName,
    externalId: typeof externalId === 'string' ? externalId : null,
    attributes,
    email: wanted.email || null,
    isActive: typeof active === 'boolean' ? active : null,
    profile: Object.fromEntries(fields.map((field) => [field, wanted.profile[field]])),
    // A user may have chosen a language since: only a change in the directory takes that choice away.
    region: {
      ...(wanted.locale === known.locale ? {} : { locale: wanted.locale }),
      ...(wanted.zoneinfo === known.zoneinfo ? {} : { zoneinfo: wanted.zoneinfo }),
    },
    facts: Object.fromEntries(facts.map((name) => [name, wanted.facts[name] || null])),
  }
}

/**
 * What a PATCH writes: the values after it, and those before. Attributes that no directory has written, and the PATCH does not
 * change, are in neither, so that they stay the portal's.
 */
export function changedBy(user: DirectoryUser, before: Values, after: Values): { next: Values; before: Values } {
  const written = writtenBy(user)
  const isLeft = (name: string) => !Object.hasOwn(written, name) && isDeepStrictEqual(before[name], after[name])
  const changed = (values: Values) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => name === 'userName' || !isLeft(name)))
  return { next: changed(after), before: changed(before) }
}

/** What a directory wrote last of a user; nothing when none has. */
export function writtenBy({ directory }: DirectoryUser): Values {
  if (directory === null) return {}
  const { userName, externalId, attributes } = directory
  return { ...attributes, userName, ...(externalId === null ? {} : { externalId }) }
}

function portalValuesOf(user: DirectoryUser): PortalValues {
  const attributes = user.attributes as Record<string, string>
  return {
    email: user.email,
    profile: profileOf(user),
    locale: user.locale,
    zoneinfo: user.zoneinfo,
    facts: factsFrom((name) => (Object.hasOwn(attributes, name) ? attributes[name] : undefined)),
  }
}

/** What the portal would have of these values. */
export function portalValuesIn(values: Values): PortalValues {
  const name = isObject(values['name']) ? values['name'] : {}
  const parts = [name['givenName'], name['familyName']].filter((part) => typeof part === 'string' && part !== '')
  const address = chosen(values['addresses']) ?? {}
  const typed: Profile = {
    name: text(values['displayName']) || text(name['formatted']) || parts.join(' '),
    given_name: text(name['givenName']),
    family_name: text(name['familyName']),
    nickname: text(values['nickName']),
    picture: text(chosen(values['photos'])?.['value']),
    phone_number: text(chosen(values['phoneNumbers'])?.['value']).replace(/^tel:/i, ''),
    street_address: '',
    locality: '',
    region: '',
    postal_code: '',
    country: '',
  }
  for (const field of ADDRESS_FIELDS) typed[field] = text(address[ADDRESS_PARTS[field]])
  const { cleaned, problems } = examineProfile(typed)
  const profile = { ...typed, ...cleaned }
  // What apps cannot use, such as a number without its country, the directory reads back all the same.
  for (const field of ['picture', 'phone_number'] as const) if (problems[field] !== undefined) profile[field] = ''
  if (ADDRESS_FIELDS.some((field) => problems[field] !== undefined))
    for (const field of ADDRESS_FIELDS) profile[field] = ''

  const userName = text(values['userName'])
  const email = text(chosen(values['emails'])?.['value']) || (userName.includes('@') ? userName : '')
  const zone = text(values['timezone'])
  return {
    email: canonicalEmail(email),
    profile,
    locale: languageIn(text(values['preferredLanguage'])) ?? languageIn(text(values['locale'])),
    zoneinfo: isTimeZone(zone) ? zone : null,
    facts: factsFrom((fact) => {
      const [first, second] = FACTS[fact] as readonly [string, string?]
      const holder = second === undefined ? values : values[first]
      return isObject(holder) ? holder[second ?? first] : undefined
    }),
  }
}

function factsFrom(find: (name: FactName) => unknown): Record<FactName, string> {
  return Object.fromEntries(FACT_NAMES.map((name) => [name, text(find(name))])) as Record<FactName, string>
}

/** Puts what the portal has in the place of what a directory wrote, where they differ. */
function overlay(values: Values, portal: PortalValues): void {
  const written = portalValuesIn(values)
  const differs = (field: keyof Profile) => portal.profile[field] !== written.profile[field]
  if (portal.email !== written.email) choose(values, 'emails', portal.email, 'work')
  if (differs('name')) assign(values, 'displayName', portal.profile.name || undefined)
  for (const [field, part] of [
    ['given_name', 'givenName'],
    ['family_name', 'familyName'],
  ] as const)
    if (differs(field)) assignIn(values, 'name', part, portal.profile[field])
  if (differs('nickname')) assign(values, 'nickName', portal.profile.nickname || undefined)
  if (differs('picture')) choose(values, 'photos', portal.profile.picture, 'photo')
  if (differs('phone_number')) choose(values, 'phoneNumbers', portal.profile.phone_number, 'work')
  if (ADDRESS_FIELDS.some(differs)) {
    const parts = ADDRESS_FIELDS.map((field) => [ADDRESS_PARTS[field], portal.profile[field]] as const)
    const given = parts.filter(([, part]) => part !== '')
    // What the directory has put together itself speaks of the address before.
    const { formatted: _, ...rest } = chosen(values['addresses']) ?? {}
    for (const [part] of parts) delete rest[part]
    replaceChosen(
      values,
      'addresses',
      given.length === 0 ? null : { type: 'work', primary: true, ...rest, ...Object.fromEntries(given) },
    )
  }
  if (portal.locale !== null && portal.locale !== written.locale) values['preferredLanguage'] = portal.locale
  if (portal.zoneinfo !== null && portal.zoneinfo !== written.zoneinfo) values['timezone'] = portal.zoneinfo
  for (const fact of FACT_NAMES) {
    if (portal.facts[fact] === written.facts[fact]) continue
    const [first, second] = FACTS[fact] as readonly [string, string?]
    if (second === undefined) assign(values, first, portal.facts[fact] || undefined)
    else assignIn(values, first, second, portal.facts[fact])
  }
}

/** The one of a list that the portal takes: the primary one, else the one for work, else the first. */
function chosen(list: unknown): Values | null {
  const all = Array.isArray(list) ? list.filter(isObject) : []
  const ofWork = all.find(({ type }) => typeof type === 'string' && type.toLowerCase() === 'work')
  return all.find(isPrimary) ?? ofWork ?? all[0] ?? null
}

/** Gives the value that the portal takes of a list another text; an empty one removes it. */
function choose(values: Values, name: string, value: string, type: string): void {
  const { display: _, ...rest } = chosen(values[name]) ?? {}
  replaceChosen(values, name, value === '' ? null : { type, primary: true, ...rest, value })
}

function replaceChosen(values: Values, name: string, next: Values | null): void {
  const all = Array.isArray(values[name]) ? (values[name] as Values[]) : []
  const before = chosen(all)
  const rest = all.filter((each) => each !== before)
  const list = next === null ? rest : before === null ? [next] : all.map((each) => (each === before ? next : each))
  assign(values, name, list.length === 0 ? undefined : list)
}

function assignIn(values: Values, name: string, part: string, value: string): void {
  const holder = isObject(values[name]) ? { ...values[name] } : {}
  assign(holder, part, value || undefined)
  assign(values, name, Object.keys(holder).length === 0 ? undefined : holder)
}

/** The first language that the portal has of a list as in Accept-Language, or of one tag, also with an underscore. */
function languageIn(tags: string): string | null {
  for (const tag of tags.slice(0, 200).split(',')) {
    const language = supportedLanguage((tag.split(';', 1)[0] as string).trim().replaceAll('_', '-'))
    if (language !== null) return language
  }
  return null
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.trim() : ''
}
