import { message } from '../i18n/messages.ts'
import { badRequest } from './http-errors.ts'

/**
 * One field of a submitted form, as text. @throws RequestRefused (400) for a field that is missing, repeated or too long, or
 * that holds what the database cannot store: NUL, other control characters, lone surrogates.
 */
export function textField(body: unknown, name: string, maximum = 320): string {
  const value = fieldOf(body, name)
  if (value.length > maximum) throw badRequest(message('errors.field.too_long', { field: name }))
  if (/\p{Cc}/u.test(value)) throw badRequest(message('errors.field.characters', { field: name }))
  return value
}

/** A field that users paste into: tabs are removed. @throws RequestRefused (400), as for any other field */
export function pastedField(body: unknown, name: string, maximum = 320): string {
  return textField({ [name]: fieldOf(body, name).replaceAll('\t', '') }, name, maximum)
}

/** The lines of a field, without white space around them; those that are empty are left out. @throws RequestRefused (400) */
export function linesField(body: unknown, name: string, maximum: number): string[] {
  const text = fieldOf(body, name)
  if (text.length > maximum) throw badRequest(message('errors.field.too_long', { field: name }))
  const lines = text.split(/\r?\n/).map((line) => textField({ [name]: line.trim() }, name, maximum))
  return lines.filter((line) => line !== '')
}

/** A password may hold any character; its length is limited before it is hashed. */
export function passwordField(body: unknown, name: string): string {
  const value = fieldOf(body, name)
  if (value.length > 4096) throw badRequest(message('errors.field.too_long', { field: name }))
  return value
}

/** An optional field. */
export function optionalField(body: unknown, name: string, maximum: number): string | null {
  const value = (body as Record<string, unknown> | undefined)?.[name]
  return value === undefined || value === '' ? null : textField(body, name, maximum)
}

function fieldOf(body: unknown, name: string): string {
  const value = (body as Record<string, unknown> | undefined)?.[name]
  if (typeof value !== 'string') throw badRequest(message('errors.field.missing', { field: name }))
  if (!value.isWellFormed() || value.includes('\0'))
    throw badRequest(message('errors.field.characters', { field: name }))
  return value
}
