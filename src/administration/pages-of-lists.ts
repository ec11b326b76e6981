import { z } from 'zod'
import { Refused } from '../domain/refused.ts'

/** The input of every list: how much of it, and where to go on (key-set pagination). */
export const PAGE = {
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('How many items at most.'),
  cursor: z.string().max(1000).optional().describe('The `next_cursor` of the answer before.'),
}

/** The output of every list. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    next_cursor: z.string().nullable().describe('Where to go on; null at the end.'),
  })
}

/**
 * Cuts rows to a page. They must be one more than `limit` where there is more. @param keyOf what the order of the list is made of
 */
export function pageOf<Row, Item>(
  rows: Row[],
  limit: number,
  describe: (row: Row) => Item,
  keyOf: (row: Row) => (string | null)[],
): { items: Item[]; next_cursor: string | null } {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const next = rows.length > limit && last !== undefined ? keyOf(last) : null
  return {
    items: shown.map(describe),
    next_cursor: next && cursorOf(next),
  }
}

/** The cursor of a key, which `keyIn` reads. */
export function cursorOf(key: (string | null)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/** The key that a cursor stands for, of `length` parts; null without a cursor. @throws Refused for one that is none of ours */
export function keyIn(cursor: string | undefined, length: number): (string | null)[] | null {
  if (cursor === undefined) return null
  try {
    const key = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown
    if (
      Array.isArray(key) &&
      key.length === length &&
      key.every((part) => part === null || (typeof part === 'string' && !part.includes('\0')))
    )
      return key as (string | null)[]
  } catch {
    // Refused below.
  }
  throw new Refused('cursor: is not the next_cursor of an answer')
}
