import { z } from 'zod'
import type { ValueType } from './setting.ts'

export function seconds(minimum: number, maximum: number): ValueType<number> {
  return quantity(minimum, maximum, 'seconds')
}

export function milliseconds(minimum: number, maximum: number): ValueType<number> {
  return quantity(minimum, maximum, 'milliseconds')
}

export function count(minimum: number, maximum: number): ValueType<number> {
  return quantity(minimum, maximum)
}

function quantity(minimum: number, maximum: number, unit?: ValueType<number>['unit']): ValueType<number> {
  const wholeNumber = unit === undefined ? 'a whole number' : `a whole number of ${unit}`
  const range = unit === undefined ? `${maximum}` : `${maximum} ${unit}`
  return {
    schema: z
      .string()
      .regex(/^\d{1,10}$/, `must be ${wholeNumber}`)
      .transform(Number)
      .refine((value) => value >= minimum && value <= maximum, `must be between ${minimum} and ${range}`),
    words: `${wholeNumber} from ${minimum} to ${maximum}`,
    ...(unit === undefined ? {} : { unit }),
  }
}

export function choice<const T extends string>(...values: readonly [T, T, ...T[]]): ValueType<T> {
  const last = values.at(-1) as T
  return {
    schema: z.enum(values, `must be ${values.slice(0, -1).join(', ')} or ${last}`),
    words: `${values
      .slice(0, -1)
      .map((value) => `\`${value}\``)
      .join(', ')} or \`${last}\``,
  }
}

/** `true` or `false`. */
export function flag(): ValueType<boolean> {
  const { schema, words } = choice('true', 'false')
  return { schema: schema.transform((value) => value === 'true'), words }
}

/** The name of an HTTP header (RFC 9110 §5.1). */
export function headerName(): ValueType<string> {
  const schema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,99}$/, 'must be the name of an HTTP header')
  return { schema, words: 'the name of an HTTP header' }
}

export function text(words: string): ValueType<string> {
  return { schema: z.string(), words }
}

export function port(): ValueType<number> {
  return {
    schema: z
      .string()
      .regex(/^\d{1,5}$/, 'must be a port number')
      .transform(Number)
      .refine((value) => value <= 65_535, 'must be a port number'),
    words: 'a port number; 0 takes any that is free',
  }
}
