import { z } from 'zod'
import { LANGUAGES } from '../i18n/catalogues.ts'
import type { ValueType } from './setting.ts'

/** One of the languages that have a file in `locales/`. */
export function language(): ValueType<string> {
  const words = LANGUAGES.map((each) => `\`${each}\``).join(', ')
  return {
    schema: z.string().refine((value) => LANGUAGES.includes(value), `must be one of ${LANGUAGES.join(', ')}`),
    words,
  }
}
