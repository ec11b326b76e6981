import { z } from 'zod'
import { decryptWithAny, encrypt } from '../keys/encryption.ts'
import type { Secrets } from '../keys/secrets.ts'
import type { SealedColumn } from './moved-table.ts'

/**
 * A row with its sealed column as plaintext, which has the form `{"plaintext": …}` then. What no root secret opens stays as it is,
 * and works as little on the new machine: a lost key of an authenticator app still asks for a second step.
 */
export function openRow(secrets: Secrets, { column, id, purpose }: SealedColumn, row: string): string {
  const { fields, sealed, name } = read(row, column, id)
  if (typeof sealed !== 'string') return row
  const keys = secrets.map((each) => each[purpose])
  const opened = decryptWithAny(sealed, name, keys)
  return opened === null ? row : JSON.stringify({ ...fields, [column]: { plaintext: opened.plaintext } })
}

/** The same row, sealed under the first root secret. */
export function sealRow([keys]: Secrets, { column, id, purpose }: SealedColumn, row: string): string {
  const { fields, sealed, name } = read(row, column, id)
  if (sealed === null || typeof sealed === 'string') return row
  return JSON.stringify({ ...fields, [column]: encrypt(sealed.plaintext, name, keys[purpose]) })
}

function read(row: string, column: string, id: string) {
  const fields = JSON.parse(row) as Record<string, unknown>
  const sealed = z.union([z.null(), z.string(), z.strictObject({ plaintext: z.string() })]).parse(fields[column])
  return { fields, sealed, name: z.string().parse(fields[id]) }
}
