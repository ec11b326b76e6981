/**
 * The SQL condition that a column begins with a text, for a search by prefix. It is a range in the order of code points, so an
 * index of the column with COLLATE "C" serves it, and nothing in the text is a wildcard.
 */
export const hasPrefix = (column: string, prefix: string) =>
  `${column} COLLATE "C" >= ${prefix} AND ${column} COLLATE "C" < ${prefix} || chr(1114111)`
