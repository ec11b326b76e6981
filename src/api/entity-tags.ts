import { hash } from 'node:crypto'

/** The tag of what is answered (a strong one, RFC 9110 §8.8.3). */
export function entityTagOf(body: string): string {
  return `"${hash('sha256', body, 'base64url').slice(0, 27)}"`
}

/** Whether `If-Match` or `If-None-Match` names this tag; `*` names every one. Weak tags, which are not ours, match none. */
export function namesTag(field: string, tag: string): boolean {
  return field.split(',').some((each) => ['*', tag].includes(each.trim()))
}
