// apps/: the registry of apps (OAuth clients) and APIs (resource servers).
//
// It owns what settings they may have, their redirect URIs, keys and client secrets, and which app may have which API.
// It leaves client authentication and every other step of the protocol to `oidc/`, and the families of an app to `families/`.

import {
  type AppListing,
  type AppProof,
  type AppRow,
  countFamilies,
  findApp as findRow,
  findAppsByName,
  hasFamilies,
  insertApp,
  isAudienceShared,
  isSigningAlgUsed as isAlgUsed,
  type ListedApp,
  listDisabledApps,
  lockApp,
  updateApp,
} from '../../storage/apps.ts'
import { deleteAppIcon, upsertAppIcon } from '../../storage/app-icons.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { lockFamiliesOfDisabledApp } from '../../storage/family-ends.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { type ApiGrantKind, hasApi, replaceAppApis } from '../../storage/app-apis.ts'
import type { ApiGrants } from './app-apis.ts'
import { endWithdrawnFamilies, holdAllowedGroups } from './app-access.ts'
import { AppRefused, refuse } from './app-refused.ts'
import { makeTokenKeyId, SHARED_ALG, tokenKeyOf } from '../keys/shared-keys.ts'
import { type AppSettings, faultsOf, hasTokenKey } from './app-settings.ts'
import type { AuditKind } from '../audit-events.ts'
import { adminApiOf, isApiClientId } from './apis.ts'
import { hasSecret } from './client-keys.ts'
import {
  hashesOf,
  hashSecret,
  makeSecret,
  rotatedHashes,
  secretMatches,
  validPreviousSecret,
} from './client-secrets.ts'
import { sectorOf } from '../identities/subjects.ts'
import { endIn } from '../endings/endings.ts'
import type { Icon } from './app-icons.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'
import { isUuid } from '../uuid.ts'
import { DEFAULT_SCOPES, LATER_SCOPES, OPENID_SCOPES } from './openid-scopes.ts'
import { reservedNameFaults } from './redirect-uris.ts'
import { at, type Fault } from './setting-faults.ts'

export { DEFAULT_SCOPES, hashSecret, LATER_SCOPES, OPENID_SCOPES, secretMatches }
export type { AppProof, AppRow, AppSettings, ListedApp }

/** Any app, also one that is disabled, or deleted while something still needs its row. */
export async function findApp({ storage }: Services, clientId: string): Promise<AppRow | null> {
  return findRow(storage, clientId)
}

/** The app as operators know it, also one that is disabled. */
export async function findRegisteredApp({ storage }: Services, clientId: string): Promise<AppRow | null> {
  const app = isClientId(clientId) ? await findRow(storage, clientId) : null
  return app === null || app.deletedAt !== null ? null : app
}

/** The apps whose name or client id begins with a text, by name. */
export async function searchApps({ storage }: Services, listing: AppListing): Promise<ListedApp[]> {
  return findAppsByName(storage, listing)
}

/** Families of an app that are counted at most. */
export const MOST_COUNTED = 5000

/** How many families of an app live, and of how many users; `MOST_COUNTED` families at most. */
export async function countFamiliesOf(
  { storage }: Services,
  clientId: string,
): Promise<{ families: number; users: number }> {
  return countFamilies(storage, clientId, MOST_COUNTED)
}

/** Whether an app wants its ID tokens signed with this algorithm, or an API its application tokens. */
export async function isSigningAlgUsed({ storage }: Services, alg: string): Promise<boolean> {
  return isAlgUsed(storage, alg)
}

/** False for what cannot be a client id, so that the store need not be asked. */
export function isClientId(value: string): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(value)
}

/**
 * Registers an app. @returns the client secret of a confidential app, of which only the hash is stored. @throws AppRefused
 *
 * Its application tokens have an `aud` of their own unless it is given one. The client id is the `aud` of its ID tokens, and an
 * API that checks nothing else would take those for application tokens (RFC 9068 §2.2).
 */
export async function createApp(
  services: Services,
  clientId: string,
  {
    audience = `${services.publicUrl}/apps/${clientId}`,
    ...rest
  }: Omit<AppSettings, 'audience'> & { audience?: string },
  icon: Icon | null = null,
  apis: ApiGrants = {},
): Promise<{ app: AppRow; secret: string | null }> {
  refuse(roleFaults(rest.selfAssignableRoles, []))
  const faults = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/.test(clientId)
    ? []
    : ['a client id has 1 to 128 letters, digits, dots, dashes, underscores or tildes']
  if (isApiClientId(clientId))
    faults.push('a client id that begins with api. and 20 hexadecimal digits is that of an API')
  const settings: AppSettings = { ...rest, audience }
  // The tokens of a service have its client id as `sub`, where those of users have a UUID (RFC 9068 §5).
  if (settings.isService && isUuid(clientId.toLowerCase()))
    faults.push('the client id of a service is no UUID, as it could be taken for a user')
  refuse([
    ...at('clientId', faults),
    ...faultsOf(settings),
    ...at('redirectUris', reservedNameFaults(settings.redirectUris)),
  ])

  const secret = hasSecret(settings) ? makeSecret() : null
  const now = services.clock()
  const app: AppRow = {
    clientId,
    ...settings,
    icon: icon === null ? null : icon.hash,
    ...hashesOf(secret),
    tokenKeyId: hasTokenKey(settings) ? makeTokenKeyId() : null,
    roles: [],
    accessChangedAt: null,
    createdAt: now,
    updatedAt: now,
    disabledAt: null,
    deletedAt: null,
    revokedBefore: null,
  }
  try {
    await transaction(services.storage.pool, async (db) => {
      await holdAllowedGroups(db, app.allowedGroups)
      await insertApp(db, app)
      if (icon !== null) await upsertAppIcon(db, clientId, icon)
      await replaceApis(db, clientId, apis)
      await refuseNarrowChange(services, db, clientId)
      await refuseSharedAudience(db, app)
      await writeDown(services, db, 'app_created', clientId, now)
    })
  } catch (error) {
    if (isUniqueViolation(error)) throw await isTaken(services, clientId)
    throw error
  }
  return { app, secret }
}

async function isTaken(services: Services, clientId: string): Promise<AppRefused> {
  const isDeleted = ((await findApp(services, clientId))?.deletedAt ?? null) !== null
  const words = isDeleted
    ? `there was an app ${clientId}, and its client id is free again once its last tokens have expired, about an hour after it was deleted`
    : `there is an app ${clientId} already`
  return new AppRefused(words, 'conflict')
}

/**
 * Changes settings of an app. Public or confidential, native or not, and a service or not cannot change. Families of users who may
 * not enter it any more end.
 * @param icon null removes it @param apis what it may have of APIs, in the ways that are named @throws AppRefused
 */
export async function changeApp(
  services: Services,
  app: AppRow,
  settings: Partial<Omit<AppSettings, 'isPublic' | 'isNative' | 'isService'>>,
  icon?: Icon | null,
  apis: ApiGrants = {},
): Promise<AppRow> {
  const next = { ...app, ...settings }
  refuse([...faultsOf(next), ...at('redirectUris', reservedNameFaults(settings.redirectUris ?? []))])
  if (settings.selfAssignableRoles !== undefined) refuse(roleFaults(settings.selfAssignableRoles, app.roles))
  const change = { ...settings, ...(icon === undefined ? {} : { icon: icon && icon.hash }) }
  const isAccess = ACCESS_SETTINGS.some((name) => name in settings)
  const detail = [...Object.keys(change), ...Object.keys(apis).map((grant) => `apis (${grant})`)].join(', ')
  // A secret must not go on proving an app that has keys.
  const secrets = hasSecret(next) ? {} : hashesOf(null)
  const keyId = hasTokenKey(next) ? (app.tokenKeyId ?? makeTokenKeyId()) : null
  const marks = isAccess ? { accessChangedAt: services.clock() } : {}
  const changed = await alter(
    services,
    app.clientId,
    { ...change, ...secrets, ...marks, ...(keyId === app.tokenKeyId ? {} : { tokenKeyId: keyId }) },
    'app_changed',
    detail,
    async (db) => {
      await holdAllowedGroups(db, settings.allowedGroups ?? [])
      if (sectorOf(app) !== sectorOf(next)) await refuseNewSubjects(db, app.clientId)
      if (AUDIENCE_SETTINGS.some((name) => name in settings)) await refuseSharedAudience(db, next)
      if (icon === null) await deleteAppIcon(db, app.clientId)
      else if (icon !== undefined) await upsertAppIcon(db, app.clientId, icon)
      await replaceApis(db, app.clientId, apis)
    },
  )
  if (isAccess) await endWithdrawnFamilies(services)
  return changed
}

/** Only roles of the app itself: a global one could be an operator's. */
function roleFaults(named: string[], known: string[]): Fault[] {
  const unknown = named.filter((role) => !known.includes(role))
  if (unknown.length === 0) return []
  return at('selfAssignableRoles', [`the app has no role ${unknown.join(', ')}: add it first (gatehouse app role add)`])
}

const AUDIENCE_SETTINGS = ['audience', 'applicationTokenAlg']

/**
 * Key confusion: what verifies HS256 can sign, so nothing else may take tokens with the audience of an app with a shared key.
 * @throws AppRefused
 */
async function refuseSharedAudience(
  db: Queryable,
  { clientId, audience, applicationTokenAlg }: Pick<AppRow, 'clientId' | 'audience' | 'applicationTokenAlg'>,
): Promise<void> {
  const isShared = applicationTokenAlg === SHARED_ALG
  if (!(await isAudienceShared(db, clientId, audience, isShared))) return
  const problem = isShared
    ? `application tokens with HS256 are for the app alone, and the audience ${audience} is also that of another app or an API`
    : `the audience ${audience} is that of an app whose application tokens are signed with HS256`
  refuse(at('audience', [problem]))
}

const ACCESS_SETTINGS = ['access', 'allowedRoles', 'allowedGroups']

/**
 * Every `sub` would change, and the app would take its users for others. A family that is opened meanwhile waits for this
 * transaction. @throws AppRefused while users are signed in to the app
 */
async function refuseNewSubjects(db: Queryable, clientId: string): Promise<void> {
  await lockApp(db, clientId)
  if (await hasFamilies(db, clientId))
    throw new AppRefused(
      `${clientId} knows its users by their sub, which this would change: end its families first (gatehouse app disable, then enable)`,
    )
}

/**
 * Privilege escalation: a client of the admin API that has some scopes only must not change an app that may use the admin API, nor
 * grant it to one. @throws AppRefused
 */
async function refuseNarrowChange(services: Services, db: Queryable, clientId: string): Promise<void> {
  if (services.operator?.isNarrow === true && (await hasApi(db, clientId, adminApiOf(services))))
    throw new AppRefused('apps that may use the admin API need the scope admin:write', 'insufficient_scope')
}

async function replaceApis(db: Queryable, clientId: string, apis: ApiGrants): Promise<void> {
  for (const [grant, granted] of Object.entries(apis))
    await replaceAppApis(db, clientId, grant as ApiGrantKind, granted)
}

/**
 * Changes an app and inserts the audit event, in one transaction, with what else belongs to the change.
 * @throws AppRefused when it was deleted meanwhile
 */
async function alter(
  services: Services,
  clientId: string,
  change: Partial<AppRow>,
  kind: AuditKind,
  detail: string | null = null,
  also: (db: Queryable) => Promise<void> = async () => {},
): Promise<AppRow> {
  const now = services.clock()
  return transaction(services.storage.pool, async (db) => {
    await writeDown(services, db, kind, clientId, now, detail)
    await refuseNarrowChange(services, db, clientId)
    // It locks groups, which come before apps.
    await also(db)
    await refuseNarrowChange(services, db, clientId)
    const app = await lockApp(db, clientId)
    if (app === null || app.deletedAt !== null) throw new AppRefused(`there is no app ${clientId}`, 'not_found')
    return updateApp(db, clientId, change, now)
  })
}

async function writeDown(
  { operator: actor }: Services,
  db: Queryable,
  kind: AuditKind,
  clientId: string,
  now: Date,
  detail: string | null = null,
): Promise<void> {
  await insertAuditEvents(db, [{ kind, clientId, detail, actor }], now)
}

/** A new client secret; the previous one stays valid for a day. @throws AppRefused for an app without one */
export async function rotateSecret(services: Services, app: AppRow): Promise<string> {
  if (app.isPublic) throw new AppRefused(`${app.clientId} is a public app and has no secret`)
  if (!hasSecret(app)) throw new AppRefused(`${app.clientId} authenticates with ${app.authMethod} and has no secret`)
  const secret = makeSecret()
  await alter(services, app.clientId, rotatedHashes(app, secret, services.clock()), 'app_secret_rotated')
  return secret
}

/**
 * A new key of HS256; tokens that were signed with the one before are valid no more. @throws AppRefused for an app without one
 */
export async function rotateTokenKey(services: Services, app: AppRow): Promise<string> {
  if (!hasTokenKey(app)) throw new AppRefused(`${app.clientId} has no tokens with HS256, and so no key for them`)
  const changed = await alter(services, app.clientId, { tokenKeyId: makeTokenKeyId() }, 'app_token_key_rotated')
  return tokenKeyOf(services, changed) as string
}

/** The secret before the last rotation is valid no more. @throws AppRefused when there is none */
export async function endPreviousSecret(services: Services, app: AppRow): Promise<void> {
  if (validPreviousSecret(app, services.clock()) === null)
    throw new AppRefused(`${app.clientId} has no earlier secret that is still valid`, 'conflict')
  const change = { previousSecretHash: null, previousSecretUntil: null }
  await alter(services, app.clientId, change, 'app_previous_secret_ended')
}

/** Families that one transaction ends: few enough that other transactions hardly wait. */
const ENDED_AT_ONCE = 250

/** Tokens that were issued while the disabling was committed are revoked, too (seconds). */
const COMMIT_MARGIN = 60

/** Disables an app: it is refused from this moment on, its tokens are revoked, and all its families end. */
export async function disableApp(services: Services, app: AppRow): Promise<AppRow> {
  const now = services.clock()
  const change = { disabledAt: now, revokedBefore: addSeconds(now, COMMIT_MARGIN) }
  const disabled = await alter(services, app.clientId, change, 'app_disabled')
  await endFamiliesOfApp(services, disabled)
  return disabled
}

/**
 * Deletes an app: it is refused from this moment on, its tokens are revoked, and all its families end. Its row stays until its last
 * token must have expired (`clearDeletedApps`), because the revocation feed and the notifications about the ends need it.
 */
export async function deleteApp(services: Services, app: AppRow): Promise<void> {
  const now = services.clock()
  const disabledAt = app.disabledAt ?? now
  const change = { disabledAt, deletedAt: now, revokedBefore: addSeconds(now, COMMIT_MARGIN) }
  await endFamiliesOfApp(services, await alter(services, app.clientId, change, 'app_deleted', app.name))
}

/** Ends the families that disabled apps still have, because the command that disabled them was interrupted. @returns how many. */
export async function endFamiliesOfDisabledApps(services: Services, signal?: AbortSignal): Promise<number> {
  let count = 0
  for (const app of await listDisabledApps(services.storage.pool)) {
    count += await endFamiliesOfApp(services, app, signal)
  }
  return count
}

async function endFamiliesOfApp(
  services: Services,
  { clientId, deletedAt }: Pick<AppRow, 'clientId' | 'deletedAt'>,
  signal?: AbortSignal,
): Promise<number> {
  const cause = deletedAt === null ? 'app_disabled' : 'app_deleted'
  let count = 0
  while (signal?.aborted !== true) {
    const ended = await transaction(services.storage.pool, async (db) => {
      const ids = await lockFamiliesOfDisabledApp(db, clientId, ENDED_AT_ONCE)
      await endIn(services, db, { families: { ids } }, { cause, clientInfo: null }, services.clock())
      return ids.length
    })
    count += ended
    if (ended < ENDED_AT_ONCE) break
  }
  return count
}

/** Enables an app again. Its ended families stay ended, and its tokens from before stay revoked. */
export async function enableApp(services: Services, { clientId }: AppRow): Promise<AppRow> {
  const disabledAt = (await findApp(services, clientId))?.disabledAt ?? null
  if (disabledAt === null) return alter(services, clientId, {}, 'app_enabled')
  // Tokens tell whole seconds: those of the second in which it was disabled are from before.
  const earliest = addSeconds(disabledAt, 1)
  const now = services.clock()
  const change = { disabledAt: null, revokedBefore: now < earliest ? earliest : now }
  return alter(services, clientId, change, 'app_enabled')
}
