import fc from 'fast-check'
import type { OpenApi, Schema } from './openapi.ts'

/** Values that programs send by mistake, and attackers on purpose. */
export const HOSTILE: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  [],
  {},
  [[]],
  [null],
  { a: 1 },
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\u202e',
  '💥',
  '%',
  '%00',
  "'; --",
  '\r\nSet-Cookie: a=b',
  '__proto__',
  '1e999',
  '00000000-0000-0000-0000-000000000000',
  '9999-12-31T23:59:60.000Z',
  '+275760-09-13T00:00:00.000Z',
  'x'.repeat(5000),
]

/** Values that a JSON schema allows, at its bounds more often than not. @param known values that things of the portal have */
export function valuesOf(schema: Schema, document: OpenApi, known: () => string[]): fc.Arbitrary<unknown> {
  const of = (each: Schema): fc.Arbitrary<unknown> => valuesOf(each, document, known)
  if (schema.$ref !== undefined)
    return of(document.components.schemas[schema.$ref.split('/').at(-1) as string] as Schema)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return fc.oneof(...choices.map(of))
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map((type) => of({ ...schema, type })))
  switch (schema.type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.oneof(
        fc.constantFrom(schema.minimum ?? -1, schema.maximum ?? 2 ** 31 - 1),
        fc.integer({ min: schema.minimum ?? -1000, max: Math.min(schema.maximum ?? 2 ** 31 - 1, 2 ** 31 - 1) }),
      )
    case 'number':
      return fc.double({ noNaN: true, min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9 })
    case 'string':
      return stringsOf(schema, known)
    case 'array':
      return fc.array(of(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.max(schema.minItems ?? 0, Math.min(schema.maxItems ?? 3, 3)),
      })
    case 'object': {
      const { properties = {}, required = [], additionalProperties: others } = schema
      const fields = Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, of(each)]))
      const named = fc.record(fields, { requiredKeys: required })
      if (typeof others !== 'object') return named
      const free = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), of(others), { maxKeys: 3 })
      return fc.tuple(free, named).map(([one, other]) => ({ ...one, ...other }))
    }
    default:
      return fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(...HOSTILE))
  }
}

function stringsOf({ format, pattern, minLength = 0, maxLength = 300 }: Schema, known: () => string[]) {
  if (format === 'uuid') return fc.oneof(fc.uuid(), oneOf(known))
  if (format === 'date-time')
    return fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }).map((at) => at.toISOString())
  if (format === 'email') return fc.emailAddress()
  if (format === 'uri') return fc.webUrl()
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern))
  const bounds = { minLength, maxLength: Math.min(maxLength, 300) }
  return fc.oneof(
    oneOf(known),
    fc.string({ ...bounds, unit: 'grapheme' }),
    fc.string(bounds),
    fc.constantFrom('a'.repeat(Math.max(1, minLength)), 'b'.repeat(maxLength)),
  )
}

/** One of the values that are known at the moment it is needed. */
function oneOf(known: () => string[]): fc.Arbitrary<string> {
  return fc.nat().map((at) => {
    const values = known()
    return values[at % values.length] ?? ''
  })
}
