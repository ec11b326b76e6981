import { listRootSecrets } from '../../storage/root-secrets.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { packKeys } from '../keys/secrets.ts'
import type { Services } from '../services.ts'
import { type MovedTable, names } from './moved-table.ts'

/** The salt of pairwise subjects, without which users were other ones to their apps, and the root of the keys that apps share. */
export const MOVED_LASTING_SECRETS: MovedTable = {
  table: 'lasting_secrets',
  key: 'name',
  columns: names('name encrypted'),
  sealed: { column: 'encrypted', id: 'name', purpose: 'lastingSecretEncryption' },
}

/** The lasting secrets that stay behind, and why. */
export const LEFT_BEHIND_SECRETS: Readonly<Record<string, string>> = {
  'audit-log': 'it seals the audit log of its own machine',
}

/** With them, ID tokens and application tokens of the old machine stay valid, and APIs go on with the JWKS that they know. */
export const MOVED_SIGNING_KEYS: MovedTable = {
  table: 'signing_keys',
  key: 'kid',
  columns: names('kid alg public_jwk encrypted_private created_at signs_from revoked_at'),
  sealed: { column: 'encrypted_private', id: 'kid', purpose: 'signingKeyEncryption' },
}

/**
 * The root secrets of the old machine, as secrets that are not set any more: with the keys that verify what was made under them,
 * such as recovery codes, refresh tokens, invitations and known browsers.
 */
export const MOVED_ROOT_SECRETS: MovedTable = {
  table: 'root_secrets',
  key: 'id',
  columns: names('id first_seen_at last_seen_at first_signed_at last_signed_at kept_keys rewrapped_at'),
  sealed: { column: 'kept_keys', id: 'id', purpose: 'keptKeysEncryption' },
}

/** The rows of the root secrets, each as the text of a JSON object. What is encrypted in the database is so under none of them then. */
export async function rootSecretRows({ secrets }: Services, db: Queryable, madeAt: Date): Promise<string[]> {
  const known = new Map((await listRootSecrets(db)).map((row) => [row.id, row]))
  return secrets.map((keys) => {
    const { firstSeenAt = madeAt, firstSignedAt = madeAt, lastSignedAt = madeAt } = known.get(keys.id) ?? {}
    return JSON.stringify({
      id: keys.id,
      first_seen_at: firstSeenAt,
      last_seen_at: madeAt,
      first_signed_at: firstSignedAt,
      last_signed_at: keys === secrets[0] ? madeAt : lastSignedAt,
      kept_keys: { plaintext: packKeys(keys) },
      rewrapped_at: madeAt,
    })
  })
}
