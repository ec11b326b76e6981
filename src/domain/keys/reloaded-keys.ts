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
  tokenKeyRoot: KeyObject
}

/** Reads the keys that another process has added: signing keys, the salt of pairwise subjects, the root of shared keys, and keys that were kept. */
export async function reloadKeys(services: ReloadedKeys): Promise<void> {
  await services.keys.reload()
  const salt = await findSecret(services, 'subject-salt')
  if (salt !== null && !salt.equals(services.subjectSalt)) services.subjectSalt = salt
  const root = await findSecret(services, 'token-keys')
  if (root !== null && !root.equals(services.tokenKeyRoot)) services.tokenKeyRoot = root
  await addKeptKeys(services)
}

/** It is not encrypted anew: processes with the secrets in another order would do so in turns. */
async function findSecret({ storage, secrets }: Holder, name: string): Promise<KeyObject | null> {
  const stored = await findLastingSecret(storage.pool, name)
  const encryptionKeys = secrets.map(({ lastingSecretEncryption }) => lastingSecretEncryption)
  const opened = stored === null ? null : decryptWithAny(stored, name, encryptionKeys)
  return opened && createSecretKey(Buffer.from(opened.plaintext, 'base64url'))
}

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
