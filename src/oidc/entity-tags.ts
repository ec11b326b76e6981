import type { IncomingMessage } from 'node:http'

/** Whether the client names this version in `If-None-Match` (RFC 9110 §13.1.2), which compares weakly. */
export function isKnownVersion({ headers }: IncomingMessage, tag: string): boolean {
  const field = headers['if-none-match']
  if (field === undefined) return false
  const tags = field.split(',').map((each) => each.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(tag.replace(/^W\//, ''))
}
