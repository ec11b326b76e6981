import { isDeepStrictEqual } from 'node:util'
import { type Condition, meets, readFilter } from './filters.ts'
import { invalidPath, invalidSyntax, invalidValue, ScimError } from './scim-errors.ts'
import { type AttributePath, findPath, readPath } from './paths.ts'
import { assign, isObject, isPrimary, readAttribute, readOne, type Values } from './resources.ts'
import { type Attribute, findAttribute, type ResourceType } from './schemas.ts'

export const PATCH_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
const MOST_OPERATIONS = 1000

/** One operation of a PATCH (RFC 7644 §3.5.2). */
export interface PatchOperation {
  op: 'add' | 'remove' | 'replace'
  target: Target
  value: unknown
}

/** What an operation is about: an attribute, or those of its values that meet the conditions. */
export interface Target extends AttributePath {
  /** Null without a value filter. */
  conditions: Condition[] | null
  /** As it was sent. */
  name: string
}

/**
 * The operations of a PATCH. One without a path becomes one for each attribute of its value; what of that is read-only or unknown
 * is left out, as in a resource. @throws ScimError
 */
export function readPatch(type: ResourceType, sent: unknown): PatchOperation[] {
  if (!isObject(sent)) throw invalidSyntax('a PATCH is a JSON object')
  const { schemas, Operations } = withoutCase(sent, ['schemas', 'Operations'])
  if (schemas !== undefined && !(Array.isArray(schemas) && schemas.includes(PATCH_SCHEMA)))
    throw invalidSyntax(`schemas does not contain ${PATCH_SCHEMA}`)
  if (!Array.isArray(Operations) || Operations.length === 0) throw invalidSyntax('Operations is a list of operations')
  if (Operations.length > MOST_OPERATIONS) throw invalidSyntax(`a PATCH has at most ${MOST_OPERATIONS} operations`)
  return Operations.flatMap((each) => readOperation(type, each))
}

function readOperation(type: ResourceType, sent: unknown): PatchOperation[] {
  if (!isObject(sent)) throw invalidSyntax('an operation is an object')
  const { op: name, path, value } = withoutCase(sent, ['op', 'path', 'value'])
  // Microsoft Entra ID writes "Add".
  const op = typeof name === 'string' ? name.toLowerCase() : ''
  if (op !== 'add' && op !== 'remove' && op !== 'replace') throw invalidSyntax('op is add, remove or replace')
  if (path === undefined || path === null || path === '') {
    if (op === 'remove') throw new ScimError(400, 'remove needs a path', 'noTarget')
    if (!isObject(value)) throw invalidValue('without a path, the value is an object with attributes')
    return operationsOf(type, op, value)
  }
  if (typeof path !== 'string') throw invalidPath('a path is a string')
  const target = readTarget(type, path)
  if (target === null) return []
  if (op !== 'remove' && value === undefined) throw invalidValue(`${path} has no value`)
  const { attribute, subAttribute } = target
  if ([attribute, subAttribute].some((each) => each?.mutability === 'readOnly'))
    throw new ScimError(400, `${path} is read-only`, 'mutability')
  return attribute === null ? operationsOf(type, op, value, `${target.name}:`) : [{ op, target, value }]
}

/** The operations of an object without a path, or of a whole extension; its names may be paths. */
function operationsOf(type: ResourceType, op: PatchOperation['op'], value: unknown, prefix = ''): PatchOperation[] {
  const target = prefix === '' ? null : findPath(type, prefix.slice(0, -1))
  const names =
    op === 'remove' ? (target?.extension?.attributes ?? []).map((each) => [each.name, undefined] as const) : null
  if (names === null && !isObject(value)) throw invalidValue(`${prefix.slice(0, -1)} is not an object`)
  return (names ?? Object.entries(value as Values)).flatMap(([name, each]) => {
    const path = `${prefix}${name}`
    const known = splitTarget(path)
    const found = known === null ? null : findPath(type, known.attribute)
    if (found === null) return []
    if (found.attribute === null) return operationsOf(type, op, each, `${path}:`)
    if (found.attribute.mutability === 'readOnly' || found.attribute.name === 'schemas') return []
    const read = readTarget(type, path)
    return read === null ? [] : [{ op, target: read, value: each }]
  })
}

/** Null for a password, which the portal takes from its user alone. @throws ScimError */
function readTarget(type: ResourceType, path: string): Target | null {
  const split = splitTarget(path)
  if (split === null) throw invalidPath(`${JSON.stringify(path.slice(0, 200))} is no path`)
  if (
    type.name === 'User' &&
    split.attribute.toLowerCase().replace(`${type.schema.id.toLowerCase()}:`, '') === 'password'
  )
    return null
  const found = readPath(type, split.attribute)
  if (split.filter === null) return { ...found, conditions: null, name: path }
  const { attribute } = found
  if (attribute === null || found.subAttribute !== null || !attribute.multiValued)
    throw invalidPath(`${split.attribute} has no list of values to choose from`)
  const subAttribute = split.sub === null ? null : findAttribute(attribute.subAttributes, split.sub)
  if (split.sub !== null && subAttribute === null) throw invalidPath(`${split.attribute} has no ${split.sub}`)
  const conditions = readFilter(split.filter).map((condition) => {
    const sub = findAttribute(attribute.subAttributes, condition.attribute)
    if (sub === null) throw invalidPath(`${split.attribute} has no ${condition.attribute}`)
    return { ...condition, attribute: sub.name }
  })
  return { ...found, subAttribute, conditions, name: path }
}

/** `emails[type eq "work"].value` in its three parts. */
function splitTarget(path: string): { attribute: string; filter: string | null; sub: string | null } | null {
  const found = /^([$\w:.-]+)(?:\[(.*)\](?:\.([$\w-]+))?)?$/s.exec(path.trim())
  if (found === null) return null
  const [, attribute = '', filter = null, sub = null] = found
  return { attribute, filter, sub }
}

/** A resource after these operations. @throws ScimError */
export function patched(resource: Values, operations: PatchOperation[]): Values {
  const result = structuredClone(resource)
  for (const operation of operations) apply(result, operation)
  return result
}

function apply(resource: Values, operation: PatchOperation): void {
  const { extension, attribute } = operation.target
  if (attribute === null) return
  if (extension === null) return applyIn(resource, attribute, operation)
  const part = isObject(resource[extension.id]) ? (resource[extension.id] as Values) : {}
  applyIn(part, attribute, operation)
  assign(resource, extension.id, Object.keys(part).length === 0 ? undefined : part)
}

function applyIn(holder: Values, attribute: Attribute, { op, target, value }: PatchOperation): void {
  const { name } = attribute
  const { subAttribute, conditions } = target
  if (conditions !== null) return assign(holder, name, changeChosen(attribute, listOf(holder[name]), op, target, value))
  if (subAttribute !== null) {
    // Of a list without a filter, every value is meant.
    const known = attribute.multiValued ? listOf(holder[name]) : isObject(holder[name]) ? [holder[name]] : []
    const holders = known.length === 0 ? [{} as Values] : known
    for (const each of holders)
      assign(each, subAttribute.name, op === 'remove' ? undefined : readAttribute(subAttribute, value, target.name))
    const left = holders.filter((each) => Object.keys(each).length > 0)
    return assign(holder, name, attribute.multiValued ? unlessEmpty(left) : left[0])
  }
  if (op === 'remove') {
    if (attribute.required) throw new ScimError(400, `${name} is required`, 'mutability')
    return assign(holder, name, removeValues(attribute, holder[name], value))
  }
  const given = readAttribute(attribute, value, target.name)
  if (attribute.multiValued && op === 'add')
    assign(holder, name, unlessEmpty(added(listOf(holder[name]), listOf(given))))
  else if (attribute.type === 'complex' && !attribute.multiValued && (isObject(given) || isObject(value)))
    assign(
      holder,
      name,
      mergedNulls(attribute, { ...(holder[name] as Values | undefined), ...(given as Values) }, value),
    )
  else assign(holder, name, given)
}

/** An operation on the values that meet the conditions. */
function changeChosen(
  attribute: Attribute,
  values: Values[],
  op: PatchOperation['op'],
  { subAttribute, conditions, name }: Target,
  value: unknown,
): Values[] | undefined {
  const wanted = conditions as Condition[]
  const chosen = values.filter((each) => isChosen(attribute, each, wanted))
  // Removing what is gone already is no error, so that a directory may try again.
  if (op === 'remove' && subAttribute === null) return unlessEmpty(values.filter((each) => !chosen.includes(each)))
  if (op === 'replace' && chosen.length === 0) throw new ScimError(400, `${name} leads to no value`, 'noTarget')
  const all = op === 'add' && chosen.length === 0 ? [...values, valueFor(attribute, wanted)] : values
  const targets = op === 'add' && chosen.length === 0 ? all.slice(-1) : chosen
  for (const each of targets) {
    if (subAttribute === null) Object.assign(each, readOne(attribute, value, name))
    else assign(each, subAttribute.name, op === 'remove' ? undefined : readAttribute(subAttribute, value, name))
  }
  return unlessEmpty(onePrimary(all, targets).filter((each) => Object.keys(each).length > 0))
}

function isChosen(attribute: Attribute, value: Values, conditions: Condition[]): boolean {
  return conditions.every((condition) => {
    const sub = findAttribute(attribute.subAttributes, condition.attribute)
    return meets(value[condition.attribute], condition, sub?.caseExact === true)
  })
}

/** A new value that meets the conditions, as Microsoft Entra ID expects of `add` with `emails[type eq "work"].value`. */
function valueFor(attribute: Attribute, conditions: Condition[]): Values {
  const parts = conditions.filter((condition) => condition.operator === 'eq')
  return (readOne(attribute, Object.fromEntries(parts.map((each) => [each.attribute, each.value])), attribute.name) ??
    {}) as Values
}

/** `remove` with a value removes those values, and without one all. */
function removeValues(attribute: Attribute, known: unknown, value: unknown): unknown {
  if (!attribute.multiValued || value === undefined || value === null) return undefined
  const unwanted = listOf(readAttribute(attribute, value, attribute.name))
  return unlessEmpty(
    listOf(known).filter((each) => !unwanted.some((other) => isDeepStrictEqual({ ...each, ...other }, each))),
  )
}

function added(known: Values[], given: Values[]): Values[] {
  const all = [...known]
  const touched: Values[] = []
  for (const each of given) {
    const index = all.findIndex((other) => isSameValue(other, each))
    const next = index === -1 ? each : { ...all[index], ...each }
    all.splice(index === -1 ? all.length : index, 1, next)
    touched.push(next)
  }
  return onePrimary(all, touched)
}

/** The same value for the same purpose; values without a `value`, such as addresses, by their type. */
function isSameValue(known: Values, given: Values): boolean {
  if (isDeepStrictEqual(known, given)) return true
  if (typeof given['value'] !== 'string') return false
  return known['value'] === given['value'] && (given['type'] === undefined || known['type'] === given['type'])
}

/** A value that becomes the primary one takes that from the others (RFC 7644 §3.5.2). */
function onePrimary(all: Values[], touched: Values[]): Values[] {
  const winner = touched.findLast(isPrimary)
  if (winner === undefined) return all
  for (const each of all) if (each !== winner && isPrimary(each)) each['primary'] = false
  return all
}

/** Without the parts that were sent as null. */
function mergedNulls(attribute: Attribute, merged: Values, sent: unknown): Values | undefined {
  if (isObject(sent))
    for (const [name, value] of Object.entries(sent)) {
      const sub = value === null ? findAttribute(attribute.subAttributes, name) : null
      if (sub !== null) delete merged[sub.name]
    }
  return Object.keys(merged).length === 0 ? undefined : merged
}

function listOf(value: unknown): Values[] {
  return Array.isArray(value) ? (value as Values[]) : []
}

function unlessEmpty<T>(values: T[]): T[] | undefined {
  return values.length === 0 ? undefined : values
}

/** The members of an object with these names, whatever their capitals. */
function withoutCase<Name extends string>(sent: Values, names: Name[]): Partial<Record<Name, unknown>> {
  const found = Object.entries(sent).map(([name, value]) => [
    names.find((each) => each.toLowerCase() === name.toLowerCase()),
    value,
  ])
  return Object.fromEntries(found.filter(([name]) => name !== undefined)) as Partial<Record<Name, unknown>>
}
