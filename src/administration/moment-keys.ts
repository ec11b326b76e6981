import { Refused } from '../domain/refused.ts'
import { isUuid } from '../domain/uuid.ts'
import { keyIn } from './pages-of-lists.ts'

/** The key of a list in the order of time, then id; null without a cursor. @throws Refused for a cursor that is none of ours */
export function momentKeyIn(cursor: string | undefined): { at: Date; id: string } | null {
  const key = keyIn(cursor, 2)
  if (key === null) return null
  const [time, id] = key as [string | null, string | null]
  const at = new Date(time ?? '')
  if (Number.isNaN(at.getTime()) || at.toISOString() !== time || id === null || !isUuid(id))
    throw new Refused('cursor: is not the next_cursor of an answer')
  return { at, id }
}
