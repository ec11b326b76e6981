import type { IncomingHttpHeaders } from 'node:http'
import { ScimError } from './scim-errors.ts'

/** The versions that a change is for (If-Match, RFC 7644 §3.14); null for any. */
export type Precondition = string[] | null

export function preconditionIn(headers: IncomingHttpHeaders): Precondition {
  return tagsIn(headers['if-match'])
}

/** Whether the client has this version already (If-None-Match). */
export function isKnown(headers: IncomingHttpHeaders, version: unknown): boolean {
  const known = headers['if-none-match']
  if (known === undefined || typeof version !== 'string') return false
  const tags = tagsIn(known)
  return tags === null || tags.includes(opaque(version))
}

/** @throws ScimError when the resource has another version by now */
export function checkVersion(precondition: Precondition, version: string | null): void {
  if (precondition === null) return
  if (version === null || !precondition.includes(opaque(version)))
    throw new ScimError(412, 'the resource was changed since it was read: read it again')
}

function tagsIn(header: string | undefined): string[] | null {
  if (header === undefined || header.trim() === '*') return null
  return header.split(',').map((tag) => opaque(tag.trim()))
}

/** Versions are compared weakly. */
function opaque(tag: string): string {
  return tag.replace(/^W\//, '')
}
