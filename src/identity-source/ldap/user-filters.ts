import { AndFilter, EqualityFilter, Filter, FilterParser, OrFilter } from 'ldapts'
import { guidBytes } from './guid.ts'

/** Who has entered this. What is entered is a value, whatever characters it has (RFC 4515 §3). */
export function filterOfLogin(template: string, login: string): Filter {
  return FilterParser.parseString(template.replaceAll('{login}', () => Filter.escape(login)))
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
