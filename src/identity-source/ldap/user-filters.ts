import { AndFilter, type Entry, EqualityFilter, Filter, FilterParser, OrFilter } from 'ldapts'
import { loginKeyOf } from '../../domain/limits/login-keys.ts'
import { valuesOf } from './attribute-values.ts'
import { guidBytes } from './guid.ts'

/** @throws Error where a filter of the operator is none, so that the portal does not start with it */
export function checkFilter(template: string): void {
  try {
    filterOfLogin(template, 'x')
    filterOfIds(template, 'entryUUID', ['x'])
  } catch (error) {
    throw new Error('LDAP_USER_FILTER: must be an LDAP filter (RFC 4515)', { cause: error })
  }
}

/** Who has entered this. What is entered is a value, whatever characters it has (RFC 4515 §3). */
export function filterOfLogin(template: string, login: string): Filter {
  return FilterParser.parseString(template.replaceAll('{login}', () => Filter.escape(login)))
}

/** The attributes with which the filter compares what a user enters. */
export function loginAttributes(template: string): string[] {
  return comparisonsOf(template).map(({ attribute }) => attribute)
}

/**
 * Whether an entry has what was entered, letter for letter but for case. A directory may be more generous: Active Directory takes
 * `àda` for `ada`. Each spelling would be another account to login throttling, with guesses of its own.
 */
export function hasLogin(entry: Entry, template: string, login: string): boolean {
  return comparisonsOf(template).some(({ attribute, value }) => {
    const wanted = loginKeyOf(value.replaceAll('{login}', () => login))
    return value.includes('*') || valuesOf(entry, attribute).some((each) => loginKeyOf(each) === wanted)
  })
}

function comparisonsOf(template: string): { attribute: string; value: string }[] {
  return [...template.matchAll(/(?<attribute>[\w.-]+)=(?<value>[^()]*\{login\}[^()]*)/g)].map(({ groups }) => ({
    attribute: groups?.['attribute'] ?? '',
    value: groups?.['value'] ?? '',
  }))
}

/** Who of those who may sign in at all has one of these ids; null where none of them can be one. */
export function filterOfIds(template: string, idAttribute: string, ids: readonly string[]): Filter | null {
  const wanted = ids.flatMap((id) => {
    const value = idValue(idAttribute, id)
    return value === null ? [] : [new EqualityFilter({ attribute: idAttribute, value })]
  })
  if (wanted.length === 0) return null
  return new AndFilter({
    filters: [FilterParser.parseString(template.replaceAll('{login}', '*')), new OrFilter({ filters: wanted })],
  })
}

function idValue(idAttribute: string, id: string): Buffer | string | null {
  if (isGuid(idAttribute)) return guidBytes(id)
  return id === '' || id.length > 255 ? null : id
}

/** Whether this attribute has bytes for a value. */
export function isGuid(idAttribute: string): boolean {
  return idAttribute.toLowerCase() === 'objectguid'
}
