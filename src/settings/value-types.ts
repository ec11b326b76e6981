import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** A time span in whole seconds, or with a unit, such as `15m`, `12h` or `90d`. */
export function seconds(minimum: number, maximum: number): ValueType<number> {
  const { words, ...rest } = quantity(minimum, maximum, 'seconds')
  return {
    ...rest,
    schema: z
      .string()
      .regex(
        /^(\d{1,10}|\d{1,8}[smhd])$/,
        'must be a whole number of seconds, or of another unit, as in 15m, 12h or 90d',
      )
      .transform((value) => Number.parseInt(value, 10) * (UNITS[value.at(-1) as string] ?? 1))
      .refine((value) => value >= minimum && value <= maximum, outOf(minimum, `${maximum} seconds`)),
    words: `${words}, or such as \`15m\`, \`12h\` or \`90d\``,
  }
}

const UNITS: Partial<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** `off` is read as null. */
export function orOff<T>({ schema, words, ...rest }: ValueType<T>): ValueType<T | null> {
  const either = z.string().transform((value, ctx) => {
    if (value === 'off') return null
    const read = schema.safeParse(value)
    if (read.success) return read.data
    ctx.addIssue(`${read.error.issues[0]?.message}; or off`)
    return z.NEVER
  })
  return { ...rest, schema: either, words: `${words}; or \`off\`` }
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
      .refine((value) => value >= minimum && value <= maximum, outOf(minimum, range)),
    words: `${wholeNumber} from ${minimum} to ${maximum}`,
    ...(unit === undefined ? {} : { unit }),
  }
}

function outOf(minimum: number, range: string): string {
  return `must be between ${minimum} and ${range}`
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

/** The characters of a bearer token (RFC 6750 §2.1). */
export function bearerToken(): ValueType<string> {
  const words = 'letters, digits and `-._~+/=`'
  return { schema: z.string().regex(/^[A-Za-z0-9._~+/-]+=*$/, `must be ${words.replaceAll('`', '')} alone`), words }
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
