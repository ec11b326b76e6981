import type { Message } from '../../i18n/messages.ts'
import { message } from '../../i18n/messages.ts'
import { badRequest } from '../http-errors.ts'

/** How a setting is entered. `lines`: one value a line. `pairs`: name=value. `grants`: an API and its scopes. `keys`: a JWK set. `secret`: never shown. */
type FieldKind = 'text' | 'secret' | 'lines' | 'pairs' | 'grants' | 'keys' | 'check' | 'number' | 'choice'

/** A setting on a form: its name in the operations, its words, and how it is entered. */
export interface SettingField {
  name: string
  kind: FieldKind
  label: Message
  hint?: Message
  /** For a choice; an empty value stands for null. */
  choices?: { value: string; label: Message }[]
  /** An empty text is no value, and not an empty one. */
  isOptional?: boolean
}

/** What a form contains, as text; `on` for a box that is checked. */
export type FormValues = Record<string, string>

/** The fields as they were sent. @throws RequestRefused (400) for a field that is repeated */
export function sentValues(body: unknown, fields: SettingField[]): FormValues {
  const sent = (body ?? {}) as Record<string, unknown>
  return Object.fromEntries(
    fields.map(({ name }) => {
      const value = sent[name] ?? ''
      if (typeof value !== 'string') throw badRequest(message('errors.field.missing', { field: name }))
      return [name, value.replaceAll('\r\n', '\n')]
    }),
  )
}

/** The settings that a form says, as an operation takes them. What is no value of its kind is left as it is, for its refusal. */
export function settingsIn(values: FormValues, fields: SettingField[]): Record<string, unknown> {
  return Object.fromEntries(fields.map((field) => [field.name, settingIn(values[field.name] ?? '', field)]))
}

function settingIn(value: string, { kind, isOptional = false }: SettingField): unknown {
  const text = value.trim()
  switch (kind) {
    case 'secret':
    case 'text':
      return text === '' && isOptional ? null : text
    case 'choice':
      return text === '' ? null : text
    case 'check':
      return text === 'on'
    case 'number':
      return text === '' ? null : /^\d{1,12}$/.test(text) ? Number(text) : text
    case 'lines':
      return linesOf(text)
    case 'pairs':
      return Object.fromEntries(
        linesOf(text).map((line) => {
          const [name = '', ...rest] = line.split('=')
          return [name.trim(), rest.join('=').trim()]
        }),
      )
    case 'grants':
      return Object.fromEntries(
        linesOf(text).map((line) => {
          const [api = '', ...scopes] = line.split(/\s+/)
          return [api, scopes.length === 0 ? null : scopes]
        }),
      )
    case 'keys':
      return text === '' ? null : parsed(text)
  }
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** The settings as a form contains them. */
export function valuesOf(settings: object, fields: SettingField[]): FormValues {
  const all = settings as Record<string, unknown>
  return Object.fromEntries(fields.map((field) => [field.name, linesIn(all[field.name], field).join('\n')]))
}

/** A setting in words, a line each; none where it has no value. */
export function linesIn(value: unknown, { kind }: SettingField): string[] {
  if (value === null || value === undefined || value === '' || value === false) return []
  switch (kind) {
    case 'check':
      return ['on']
    case 'lines':
      return value as string[]
    case 'pairs':
      return Object.entries(value as Record<string, string>).map((pair) => pair.join('='))
    case 'grants':
      return Object.entries(value as Record<string, string[]>).map(([api, scopes]) => [api, ...scopes].join(' '))
    case 'keys':
      return [JSON.stringify(value, null, 2)]
    default:
      return typeof value === 'string' || typeof value === 'number' ? [`${value}`] : []
  }
}
