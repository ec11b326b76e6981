import type { IncomingMessage } from 'node:http'

/** Whether `If-None-Match` names this version (RFC 9110 §13.1.2, weak comparison). */
export function isKnownVersion({ headers }: IncomingMessage, tag: string): boolean {
  const field = headers['if-none-match']
  if (field === undefined) return false
  const tags = field.split(',').map((each) => each.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(tag.replace(/^W\//, ''))
}
