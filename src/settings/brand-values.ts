import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** One line of text that people read, such as a name. */
export function label(longest: number): ValueType<string> {
  return {
    schema: z
      .string()
      .trim()
      .normalize('NFC')
      .refine((value) => value !== '' && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value), 'must be one line of text')
      // Bidirectional controls would turn the text around it, too (UTS 36).
      .refine((value) => !/\p{Bidi_Control}/u.test(value), 'must not contain bidirectional control characters')
      .refine((value) => value.length <= longest, `must not be longer than ${longest} characters`),
    words: `a text of at most ${longest} characters`,
  }
}

/** A colour as CSS writes it in hexadecimal digits; read as six of them, in lower case. */
export function hexColor(): ValueType<string> {
  return {
    schema: z
      .string()
      .regex(/^#(?:[\da-f]{3}|[\da-f]{6})$/i, 'must be a colour of three or six hexadecimal digits, such as #1d4ed8')
      .transform((value) => {
        const digits = value.slice(1).toLowerCase()
        return `#${digits.length === 6 ? digits : digits.replaceAll(/./g, '$&$&')}`
      }),
    words: 'a colour of three or six hexadecimal digits behind a `#`',
  }
}
