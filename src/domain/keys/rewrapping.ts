import { insertAuditEvents, type Operator } from '../../storage/audit.ts'
import { listLastingSecrets, updateLastingSecret } from '../../storage/lasting-secrets.ts'
import { listIdentityProviders, updateEncryptedSecret } from '../../storage/identity-providers.ts'
import { listEncryptedTokens, updateEncryptedTokens } from '../../storage/linked-accounts.ts'
import type { Queryable } from '../../storage/postgres.ts'
import {
  countMadeUntil,
  listProcesses,
  listRootSecrets,
  type MadeUnder,
  markRewrapped,
  type RootSecretRow,
  updateKeptKeys,
} from '../../storage/root-secrets.ts'
import { ERASED, listSigningKeys, updateEncryptedPrivate } from '../../storage/signing-keys.ts'
import { Refused } from '../refused.ts'
import { addSeconds } from '../time.ts'
import { decryptWithAny, encrypt } from './encryption.ts'
import { type Holder, keepOlderKeys, madeUntil, openKept, PASSING_FOR, PROCESS_GONE_AFTER } from './root-secrets.ts'
import type { DerivedKeys, Secrets } from './secrets.ts'
import { walkTotpKeys } from './totp-keys.ts'

/** What is in use that was made under an older secret. */
export interface Left extends MadeUnder {
  /** The older secret. */
  secret: string
  /** Whether it stays valid without that secret, because the keys that verify it were kept. */
  isKept: boolean
}

export interface Rewrapping {
  /** How many rows were encrypted under an older secret, and are under the first now. */
  rewrapped: {
    signingKeys: number
    lastingSecrets: number
    totpKeys: number
    providerSecrets: number
    upstreamTokens: number
    keptKeys: number
  }
  /** Authenticator apps that none of the secrets opens: their users need a recovery code, or a reset by an operator. */
  unreadableTotpKeys: number
  left: Left[]
  /** Running processes that still make new things under an older secret. */
  processesOnOlder: number
  /** Secrets of which nothing is left: all that was kept of them is erased. */
  released: string[]
  /** Whether the older secrets can be taken out of GATEHOUSE_SECRET now. */
  canRemove: boolean
}

/**
 * Encrypts what is stored under an older root secret under the first one, in small steps that any process can repeat, and says what
 * else was made under the older ones. @throws Refused while a running process does not have the first secret at all
 */
export async function rewrap(portal: Holder, operator: Operator | null): Promise<Rewrapping> {
  const { pool } = portal.storage
  const now = portal.clock()
  const [first, ...others] = configuredOf(portal)
  const processes = await listProcesses(pool, addSeconds(now, -PROCESS_GONE_AFTER))
  const lacking = processes.filter(({ rootSecrets }) => !rootSecrets.includes(first.id)).length
  if (lacking > 0)
    throw new Refused(
      `${lacking} running process${lacking === 1 ? ' does' : 'es do'} not have the first secret (${first.id}): start every process with both, the new one second, and only then with the new one first`,
      'conflict',
    )

  const secrets = portal.secrets
  const signingKeys = await rewrapSigningKeys(portal)
  const lastingSecrets = await rewrapLastingSecrets(pool, secrets)
  const totpKeys = await walkTotpKeys(pool, secrets, true)
  const providerSecrets = await rewrapProviderSecrets(pool, secrets)
  const upstreamTokens = await rewrapUpstreamTokens(pool, secrets)
  const keptKeys = await keepOlderKeys(pool, secrets)
  const processesOnOlder = processes.filter(({ rootSecrets }) => rootSecrets[0] !== first.id).length
  const rows = await listRootSecrets(pool)
  const done = rows.filter(({ id }) => others.some((each) => each.id === id)).map(({ id }) => id)
  if (processesOnOlder === 0) await markRewrapped(pool, done, now)

  const left: Left[] = []
  const released: string[] = []
  for (const row of rows.filter(({ id }) => id !== first.id)) {
    const kept = openKept(row, secrets, now)
    const isSet = others.some(({ id }) => id === row.id)
    // What was made under a secret that was given up is not valid.
    if (kept === null && !isSet) continue
    const of = await listMadeUnder(pool, row, now)
    left.push(...of.map((each) => ({ ...each, secret: row.id, isKept: kept !== null })))
    if (isSet || of.length > 0) continue
    await updateKeptKeys(pool, row.id, null)
    released.push(row.id)
  }
  await insertAuditEvents(pool, [{ kind: 'root_secrets_rewrapped', detail: first.id, actor: operator }], now)
  return {
    rewrapped: { signingKeys, lastingSecrets, totpKeys: totpKeys.outdated, providerSecrets, upstreamTokens, keptKeys },
    unreadableTotpKeys: totpKeys.unreadable,
    left,
    processesOnOlder,
    released,
    canRemove: processesOnOlder === 0,
  }
}

/**
 * Gives up every secret that is not set any more, such as one that leaked or is lost: what was made under it is no longer valid
 * once every process has been started again. @returns the secrets, and what was in use that was made under them
 * @throws Refused while an older secret is set, here or in a running process
 */
export async function forgetOlderSecrets(
  portal: Holder,
  operator: Operator | null,
): Promise<{ forgotten: string[]; lost: Left[] }> {
  const { pool } = portal.storage
  const now = portal.clock()
  const [first, ...others] = configuredOf(portal)
  const processes = await listProcesses(pool, addSeconds(now, -PROCESS_GONE_AFTER))
  if (others.length > 0 || processes.some(({ rootSecrets }) => rootSecrets.some((id) => id !== first.id)))
    throw new Refused('take the older secrets out of GATEHOUSE_SECRET first, in every process', 'conflict')
  const older = (await listRootSecrets(pool)).filter(
    (row) => row.id !== first.id && (row.keptKeys !== null || row.rewrappedAt === null),
  )
  const left: Left[] = []
  for (const row of older) {
    const of = await listMadeUnder(pool, row, now)
    left.push(...of.map((each) => ({ ...each, secret: row.id, isKept: false })))
    await updateKeptKeys(pool, row.id, null)
  }
  const ids = older.map(({ id }) => id)
  await markRewrapped(pool, ids, now)
  const detail = ids.join(' ')
  await insertAuditEvents(pool, [{ kind: 'root_secrets_forgotten', detail, actor: operator }], now)
  return { forgotten: ids, lost: left }
}

function configuredOf({ secrets }: Holder): Secrets {
  return secrets.filter(({ isKept }) => !isKept) as [DerivedKeys, ...DerivedKeys[]]
}

async function listMadeUnder(pool: Queryable, row: RootSecretRow, now: Date): Promise<MadeUnder[]> {
  const until = madeUntil(row)
  const passing = addSeconds(until, PASSING_FOR)
  const counted = (await countMadeUntil(pool, until, now)).filter(({ count }) => count !== 0)
  return passing > now ? [...counted, { what: 'requests_in_progress', count: null, until: passing }] : counted
}

async function rewrapSigningKeys({ storage, secrets }: Holder): Promise<number> {
  const encryptionKeys = secrets.map(({ signingKeyEncryption }) => signingKeyEncryption)
  let count = 0
  for (const { kid, encryptedPrivate } of await listSigningKeys(storage.pool)) {
    if (encryptedPrivate === ERASED) continue
    const opened = decryptWithAny(encryptedPrivate, kid, encryptionKeys)
    if (opened?.isOutdated !== true) continue
    const to = encrypt(opened.plaintext, kid, secrets[0].signingKeyEncryption)
    if (await updateEncryptedPrivate(storage.pool, kid, { from: encryptedPrivate, to })) count++
  }
  return count
}

async function rewrapLastingSecrets(db: Queryable, secrets: Secrets): Promise<number> {
  const encryptionKeys = secrets.map(({ lastingSecretEncryption }) => lastingSecretEncryption)
  let count = 0
  for (const { name, encrypted } of await listLastingSecrets(db)) {
    const opened = decryptWithAny(encrypted, name, encryptionKeys)
    if (opened?.isOutdated !== true) continue
    const to = encrypt(opened.plaintext, name, secrets[0].lastingSecretEncryption)
    await updateLastingSecret(db, name, { from: encrypted, to })
    count++
  }
  return count
}

async function rewrapProviderSecrets(db: Queryable, secrets: Secrets): Promise<number> {
  const encryptionKeys = secrets.map(({ providerSecretEncryption }) => providerSecretEncryption)
  let count = 0
  for (const { id, encryptedSecret: from } of await listIdentityProviders(db)) {
    const opened = from === null ? null : decryptWithAny(from, id, encryptionKeys)
    if (from === null || opened?.isOutdated !== true) continue
    const to = encrypt(opened.plaintext, id, secrets[0].providerSecretEncryption)
    if (await updateEncryptedSecret(db, { id, from, to })) count++
  }
  return count
}

/** Rows in one statement. */
const TOKENS_AT_ONCE = 250

/** Tokens of other providers that none of the secrets opens stay as they are: the next sign-in brings others. */
async function rewrapUpstreamTokens(db: Queryable, secrets: Secrets): Promise<number> {
  const encryptionKeys = secrets.map(({ upstreamTokenEncryption }) => upstreamTokenEncryption)
  let count = 0
  for (let after: string | null = null; ;) {
    const rows = await listEncryptedTokens(db, after, TOKENS_AT_ONCE)
    for (const { id, encryptedTokens: from } of rows) {
      const opened = decryptWithAny(from, id, encryptionKeys)
      if (opened?.isOutdated !== true) continue
      const to = encrypt(opened.plaintext, id, secrets[0].upstreamTokenEncryption)
      if (await updateEncryptedTokens(db, { id, from, to })) count++
    }
    if (rows.length < TOKENS_AT_ONCE) return count
    after = rows.at(-1)?.id ?? null
  }
}
