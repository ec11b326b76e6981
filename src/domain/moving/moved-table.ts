import type { DerivedKeys } from '../keys/secrets.ts'

/** A table that a file contains. */
export interface MovedTable extends MovedColumns {
  /** The column that is its primary key, in whose order it is read. */
  key: string
  /** Tables with rows that belong to one of its rows. */
  parts?: readonly (MovedColumns & {
    /** The column that names the row to which they belong. */
    of: string
  })[]
}

export interface MovedColumns {
  table: string
  columns: readonly string[]
  /** The columns that stay behind, and why. A new row has null there, or what the column has by default. */
  leftBehind?: Readonly<Record<string, string>>
  sealed?: SealedColumn
}

/** A column that is encrypted under the root secret. A file has its plaintext, and a new portal encrypts it under its own. */
export interface SealedColumn {
  column: string
  /** The column with the id of the row, which is its associated data. */
  id: string
  purpose: Extract<keyof DerivedKeys, `${string}Encryption`>
}

/** Names with blanks between. */
export function names(text: string): string[] {
  return text.trim().split(/\s+/)
}
