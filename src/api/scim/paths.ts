import { invalidPath } from './scim-errors.ts'
import { type Attribute, coreAttributesOf, findAttribute, type ResourceType, type Schema } from './schemas.ts'

/** An attribute of a resource, or a part of it. */
export interface AttributePath {
  /** Null for an attribute of the core schema, else the extension it belongs to. */
  extension: Schema | null
  /** Null for the extension as a whole. */
  attribute: Attribute | null
  subAttribute: Attribute | null
}

/** The attribute that a name leads to, such as `name.givenName` or `urn:…:User:department`; null when there is none. */
export function findPath(type: ResourceType, name: string): AttributePath | null {
  const { extension, rest } = splitSchema(type, name)
  if (rest === null) return null
  if (rest === '') return extension === null ? null : { extension, attribute: null, subAttribute: null }
  const [first = '', second, ...more] = rest.split('.')
  const attribute = findAttribute(extension?.attributes ?? coreAttributesOf(type), first)
  if (attribute === null || more.length > 0) return null
  if (second === undefined) return { extension, attribute, subAttribute: null }
  const subAttribute = findAttribute(attribute.subAttributes, second)
  return subAttribute && { extension, attribute, subAttribute }
}

/** @throws ScimError invalidPath */
export function readPath(type: ResourceType, name: string): AttributePath {
  const path = findPath(type, name)
  if (path === null) throw invalidPath(`a ${type.name} has no attribute ${JSON.stringify(name.slice(0, 200))}`)
  return path
}

/** The name of a path in lower case, which is the same for every way of writing it. */
export function keyOfPath({ extension, attribute, subAttribute }: AttributePath): string {
  const names = [attribute?.name, subAttribute?.name].filter((name) => name !== undefined)
  return [extension?.id, names.join('.')].filter(Boolean).join(':').toLowerCase()
}

/** `rest` is what follows the URN of a schema, which is optional for the core schema; null when the URN is of another schema. */
function splitSchema(type: ResourceType, name: string): { extension: Schema | null; rest: string | null } {
  if (!/^urn:/i.test(name)) return { extension: null, rest: name }
  for (const schema of [type.schema, ...type.extensions]) {
    const extension = schema === type.schema ? null : schema
    if (name.toLowerCase() === schema.id.toLowerCase()) return { extension, rest: '' }
    if (name.toLowerCase().startsWith(`${schema.id.toLowerCase()}:`))
      return { extension, rest: name.slice(schema.id.length + 1) }
  }
  return { extension: null, rest: null }
}
