import { invalidSyntax, invalidValue } from './scim-errors.ts'
import { findPath, keyOfPath } from './paths.ts'
import { type Attribute, COMMON_ATTRIBUTES, coreAttributesOf, findAttribute, type ResourceType } from './schemas.ts'

/** A resource or a complex value: attributes by their names as the schema writes them. What is not assigned is left out. */
export type Values = Record<string, unknown>

/** The longest string (characters), and the most values of an attribute. */
const LONGEST_STRING = 1000
const MOST_VALUES = 50

/**
 * A resource as a directory sends it (RFC 7643 §2), in the spelling of its schema. Attributes that are read-only or unknown are
 * left out (RFC 7644 §3.3). @param mostValues of a list @throws ScimError
 */
export function readResource(type: ResourceType, sent: unknown, mostValues = MOST_VALUES): Values {
  if (!isObject(sent)) throw invalidSyntax('a resource is a JSON object')
  checkSchemas(sent, type.schema.id)
  const extensions = new Map(type.extensions.map((schema) => [schema.id.toLowerCase(), schema]))
  const core = coreAttributesOf(type)
  const read: Values = {}
  for (const [name, value] of Object.entries(sent)) {
    const extension = extensions.get(name.toLowerCase())
    if (extension !== undefined) {
      if (value !== null) assign(read, extension.id, readValues(extension.attributes, value, extension.id, mostValues))
      continue
    }
    const attribute = findAttribute(core, name)
    if (attribute === null || attribute.mutability === 'readOnly' || attribute.name === 'schemas') continue
    if (Object.hasOwn(read, attribute.name)) throw invalidSyntax(`${attribute.name} is there twice`)
    assign(read, attribute.name, readAttribute(attribute, value, attribute.name, mostValues))
  }
  return read
}

/** The value of an attribute; undefined for one that is not assigned. @param name for the error @throws ScimError invalidValue */
export function readAttribute(attribute: Attribute, sent: unknown, name: string, mostValues = MOST_VALUES): unknown {
  if (sent === null || sent === undefined) return undefined
  if (!attribute.multiValued) return readOne(attribute, sent, name)
  const all = (Array.isArray(sent) ? (sent as unknown[]) : [sent]).filter((each) => each !== null)
  if (all.length > mostValues) throw invalidValue(`${name} has more than ${mostValues} values`)
  const values = all.map((each) => readOne(attribute, each, name)).filter((each) => each !== undefined)
  if (values.filter(isPrimary).length > 1) throw invalidValue(`${name} has more than one primary value`)
  return values.length === 0 ? undefined : values
}

/** One value of an attribute, also of one that has many. */
export function readOne(attribute: Attribute, sent: unknown, name: string): unknown {
  switch (attribute.type) {
    case 'complex': {
      // Microsoft Entra ID sends the manager, and some clients members, as the value alone.
      const hasValue = findAttribute(attribute.subAttributes, 'value') !== null
      return readValues(attribute.subAttributes, typeof sent === 'string' && hasValue ? { value: sent } : sent, name)
    }
    case 'boolean':
      return readBoolean(sent, name)
    default:
      return readString(sent, name)
  }
}

/** Undefined when nothing of it is assigned. */
function readValues(
  attributes: Attribute[],
  sent: unknown,
  name: string,
  mostValues = MOST_VALUES,
): Values | undefined {
  if (!isObject(sent)) throw invalidValue(`${name} is not an object`)
  const read: Values = {}
  for (const [each, value] of Object.entries(sent)) {
    const attribute = findAttribute(attributes, each)
    if (attribute === null || attribute.mutability === 'readOnly') continue
    assign(read, attribute.name, readAttribute(attribute, value, `${name}.${attribute.name}`, mostValues))
  }
  return Object.keys(read).length === 0 ? undefined : read
}

/** Microsoft Entra ID sends `"True"` and `"False"`. */
function readBoolean(sent: unknown, name: string): boolean {
  if (typeof sent === 'boolean') return sent
  const word = typeof sent === 'string' ? sent.toLowerCase() : ''
  if (word === 'true' || word === 'false') return word === 'true'
  throw invalidValue(`${name} is neither true nor false`)
}

function readString(sent: unknown, name: string): string {
  if (typeof sent !== 'string') throw invalidValue(`${name} is not a string`)
  if (Array.from(sent).length > LONGEST_STRING) throw invalidValue(`${name} has more than ${LONGEST_STRING} characters`)
  // PostgreSQL has no NUL, and UTF-8 no half of a pair.
  if (!sent.isWellFormed() || /(?![\t\n\r])\p{Cc}/u.test(sent))
    throw invalidValue(`${name} has a control character in it`)
  return sent
}

function checkSchemas(sent: Values, id: string): void {
  const name = Object.keys(sent).find((each) => each.toLowerCase() === 'schemas')
  if (name === undefined) return
  const schemas = sent[name]
  const isThere = Array.isArray(schemas) && schemas.some((each) => String(each).toLowerCase() === id.toLowerCase())
  if (!isThere) throw invalidSyntax(`schemas does not contain ${id}`)
}

/** A resource without what the query leaves out (RFC 7644 §3.9). Attributes that are always returned stay; unknown names say nothing. */
export function selectAttributes(
  type: ResourceType,
  resource: Values,
  { attributes, excludedAttributes }: { attributes: string[]; excludedAttributes: string[] },
): Values {
  const named = (names: string[]) =>
    new Set(names.map((name) => findPath(type, name)).flatMap((path) => (path === null ? [] : [keyOfPath(path)])))
  if (attributes.length > 0) {
    const wanted = named(attributes)
    const isWanted = (key: string) =>
      [...wanted].some((each) => each === key || isWithin(key, each) || isWithin(each, key))
    return filterValues(type, resource, isWanted)
  }
  if (excludedAttributes.length === 0) return resource
  const unwanted = named(excludedAttributes)
  return filterValues(type, resource, (key) => ![...unwanted].some((each) => each === key || isWithin(key, each)))
}

/** Whether a key is of a part of what another key is of. */
function isWithin(part: string, whole: string): boolean {
  return part.startsWith(`${whole}.`) || part.startsWith(`${whole}:`)
}

function filterValues(type: ResourceType, resource: Values, isKept: (key: string) => boolean): Values {
  const always = new Set(COMMON_ATTRIBUTES.filter(({ returned }) => returned === 'always').map(({ name }) => name))
  const extensions = new Set(type.extensions.map(({ id }) => id))
  const within = (value: unknown, prefix: string): unknown => {
    if (Array.isArray(value)) return value.map((each) => within(each, prefix))
    if (!isObject(value)) return value
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => isKept(`${prefix}${name}`.toLowerCase()))
        .map(([name, each]) => [name, within(each, `${prefix}${name}.`)]),
    )
  }
  const kept = Object.entries(resource).filter(([name]) => always.has(name) || isKept(name.toLowerCase()))
  return Object.fromEntries(
    kept.map(([name, value]) =>
      always.has(name) ? [name, value] : [name, within(value, extensions.has(name) ? `${name}:` : `${name}.`)],
    ),
  )
}

export function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isPrimary(value: unknown): boolean {
  return isObject(value) && value['primary'] === true
}

/** Sets an attribute; undefined removes it. */
export function assign(values: Values, name: string, value: unknown): void {
  if (value === undefined) delete values[name]
  else values[name] = value
}
