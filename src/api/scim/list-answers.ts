import { cursorAfter, type ListQuery } from './queries.ts'
import { selectAttributes, type Values } from './resources.ts'
import type { ResourceType } from './schemas.ts'

const LIST_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:ListResponse'

/** What the stores are asked for: one more than a page, which tells whether there is more. */
export function pageOf({ page, limit }: ListQuery): { after: string | null; offset: number; limit: number } {
  return page.kind === 'cursor'
    ? { after: page.after, offset: 0, limit: limit + 1 }
    : { after: null, offset: page.startIndex - 1, limit }
}

/** The answer to a list (RFC 7644 §3.4.2, RFC 9865 §2). @param resources as many as `pageOf` asked for */
export function listAnswer(
  type: ResourceType,
  query: ListQuery,
  { resources, total }: { resources: Values[]; total: number },
): Values {
  const shown = resources.slice(0, query.limit)
  const last = resources.length > query.limit ? shown.at(-1) : undefined
  return {
    schemas: [LIST_SCHEMA],
    totalResults: total,
    itemsPerPage: shown.length,
    ...(query.page.kind === 'index' ? { startIndex: query.page.startIndex } : {}),
    ...(last === undefined ? {} : { nextCursor: cursorAfter(last['id'] as string) }),
    Resources: shown.map((each) => selectAttributes(type, each, query)),
  }
}

/** A list of everything there is, such as the schemas. */
export function wholeList(resources: Values[]): Values {
  const count = resources.length
  return { schemas: [LIST_SCHEMA], totalResults: count, itemsPerPage: count, startIndex: 1, Resources: resources }
}
