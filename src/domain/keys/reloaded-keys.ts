import { createSecretKey, type KeyObject } from 'node:crypto'
import { findLastingSecret } from '../../storage/lasting-secrets.ts'
import { listRootSecrets } from '../../storage/root-secrets.ts'
import { decryptWithAny } from './encryption.ts'
import { type Holder, openKept } from './root-secrets.ts'
import type { DerivedKeys, Secrets } from './secrets.ts'
import type { KeyRing } from './signing-keys.ts'

/** What of the portal's services changes while it runs: keys are rotated, and an import brings those of another machine. */
export interface ReloadedKeys extends Holder {
  keys: KeyRing
  subjectSalt: KeyObject
}

/** Reads the keys that another process has added: signing keys, the salt of pairwise subjects, and keys that were kept. */
export async function reloadKeys(services: ReloadedKeys): Promise<void> {
  await services.keys.reload()
  const salt = await findSalt(services)
  if (salt !== null && !salt.equals(services.subjectSalt)) services.subjectSalt = salt
  await addKeptKeys(services)
}

/** It is not encrypted anew: processes with the secrets in another order would do so in turns. */
async function findSalt({ storage, secrets }: Holder): Promise<KeyObject | null> {
  const stored = await findLastingSecret(storage.pool, SALT)
  const encryptionKeys = secrets.map(({ lastingSecretEncryption }) => lastingSecretEncryption)
  const opened = stored === null ? null : decryptWithAny(stored, SALT, encryptionKeys)
  return opened && createSecretKey(Buffer.from(opened.plaintext, 'base64url'))
}

const SALT = 'subject-salt'

/** Adds the kept keys that are new to `secrets`, behind all others. */
export async function addKeptKeys({ storage, secrets, clock }: Holder): Promise<void> {
  for (const row of await listRootSecrets(storage.pool)) {
    if (secrets.some(({ id }) => id === row.id)) continue
    const kept = openKept(row, secrets, clock())
    if (kept !== null) extend(secrets, kept)
  }
}

/** Everything that verifies holds this very array. */
function extend(secrets: Secrets, kept: DerivedKeys): void {
  ;(secrets as unknown as DerivedKeys[]).push(kept)
}
