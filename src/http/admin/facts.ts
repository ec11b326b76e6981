import type { Message } from '../../i18n/messages.ts'
import { message } from '../../i18n/messages.ts'
import { linesIn, type SettingField } from './setting-fields.ts'

/** A setting as a page shows it. */
export interface Fact {
  label: Message
  lines: (string | Message)[]
  /** Whether a program reads it. */
  isCode: boolean
}

const YES = message('admin.yes')
const NO = message('admin.no')
const DEFAULT = message('admin.app_fields.as_portal')

/** The settings of something, as its page shows them. */
export function factsOf(settings: object, fields: SettingField[]): Fact[] {
  const all = settings as Record<string, unknown>
  return fields.map((field) => {
    const value = all[field.name]
    if (field.kind === 'check') return { label: field.label, lines: [value === true ? YES : NO], isCode: false }
    const chosen = field.choices?.find((each) => each.value === (value ?? ''))
    if (chosen !== undefined) return { label: field.label, lines: [chosen.label], isCode: false }
    if (field.kind === 'number' && value === null) return { label: field.label, lines: [DEFAULT], isCode: false }
    const isCode = field.kind !== 'number' && !['name', 'description'].includes(field.name)
    return { label: field.label, lines: linesIn(value, field), isCode }
  })
}
