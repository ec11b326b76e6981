import { randomBytes } from 'node:crypto'
import {
  type ApiRow,
  deleteApi as deleteRow,
  findApi as findRow,
  findApiByClientId as findRowByClientId,
  findApisByName,
  insertApi,
  listAppsOfApi as listAppRows,
  type ListedApi,
  settleApi,
  updateApi,
} from '../../storage/apis.ts'
import { isAudienceShared } from '../../storage/apps.ts'
import { keepAppApiScopes } from '../../storage/app-apis.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import type { AuditKind } from '../audit-events.ts'
import { APPLICATION_ALG } from '../keys/jwts.ts'
import { LONGEST_TOKEN, SIGNING_ALGS } from '../keys/signing-keys.ts'
import type { Services } from '../services.ts'
import { AppRefused, refuse } from './app-refused.ts'
import { hasSecret, keyFaults } from './client-keys.ts'
import { hashesOf, makeSecret, rotatedHashes, validPreviousSecret } from './client-secrets.ts'
import { OPENID_SCOPES } from './openid-scopes.ts'
import { at, type Fault, nameFaults, rangeFault } from './setting-faults.ts'

export type { ApiRow, ListedApi }

/** The settings of an API, which an operator decides. */
export type ApiSettings = Pick<
  ApiRow,
  'name' | 'scopes' | 'tokenTtl' | 'signingAlg' | 'authMethod' | 'jwks' | 'jwksUri'
>

/** The API (resource server, RFC 8707) with this identifier. */
export async function findApi({ storage }: Services, identifier: string): Promise<ApiRow | null> {
  return findRow(storage, identifier)
}

/** The API that authenticates with this client id. Only ids of APIs reach the store. */
export async function findApiByClientId({ storage }: Services, clientId: string): Promise<ApiRow | null> {
  return isApiClientId(clientId) ? findRowByClientId(storage, clientId) : null
}

/** The identifier of the portal's own API, for operators. */
export function adminApiOf({ publicUrl }: Pick<Services, 'publicUrl'>): string {
  return `${publicUrl}${ADMIN_API_PATH}`
}

/** Where the admin API is, below the address of the portal. */
export const ADMIN_API_PATH = '/api/admin/v1'

/** Whether this API is part of the portal, which looks after it itself. */
export function isBuiltIn(services: Pick<Services, 'publicUrl'>, { identifier }: Pick<ApiRow, 'identifier'>): boolean {
  return identifier === adminApiOf(services)
}

/**
 * Registers the admin API where it is missing, and gives it scopes that it lacks. A process of an earlier version, which knows
 * fewer scopes, takes none away. It has no credential: the portal asks itself about tokens.
 */
export async function settleAdminApi(
  services: Services,
  { name, scopes }: { name: string; scopes: readonly string[] },
): Promise<void> {
  const now = services.clock()
  const api = {
    identifier: adminApiOf(services),
    clientId: newClientId(),
    name,
    scopes: [...scopes],
    tokenTtl: null,
    signingAlg: APPLICATION_ALG,
    authMethod: 'client_secret_basic',
    jwks: null,
    jwksUri: null,
    ...hashesOf(null),
    createdAt: now,
    updatedAt: now,
  }
  if (await settleApi(services.storage.pool, api))
    services.logger.debug({ identifier: api.identifier }, 'the admin API is registered')
}

/** The APIs whose name or identifier begins with a text, by name. */
export async function searchApis(
  { storage }: Services,
  listing: Parameters<typeof findApisByName>[1],
): Promise<ListedApi[]> {
  return findApisByName(storage, listing)
}

/** The apps that may have something of an API, `limit` at most. */
export async function listAppsOfApi(
  { storage }: Services,
  identifier: string,
  limit: number,
): Promise<{ clientId: string; name: string; kind: string; scopes: string[] }[]> {
  return listAppRows(storage, identifier, limit)
}

/** False for what can be no identifier and no audience; the store need not be asked. */
export function mayBeIdentifier(value: string): boolean {
  return /^[\x21-\x7e]{1,255}$/.test(value)
}

/** Whether this is a client id of an API. No app can have one. */
export function isApiClientId(clientId: string): boolean {
  return /^api\.[0-9a-f]{20}$/.test(clientId)
}

/**
 * Registers an API. @returns the secret with which it asks for introspections, of which only the hash is stored; null for an API
 * that has keys @throws AppRefused
 */
export async function createApi(
  services: Services,
  identifier: string,
  settings: ApiSettings,
): Promise<{ api: ApiRow; secret: string | null }> {
  refuse([...at('identifier', identifierFaults(services, identifier)), ...faultsOf(settings)])
  const secret = hasSecret(settings) ? makeSecret() : null
  const now = services.clock()
  const clientId = newClientId()
  const api: ApiRow = { identifier, clientId, ...settings, ...hashesOf(secret), createdAt: now, updatedAt: now }
  try {
    await transaction(services.storage.pool, async (db) => {
      await insertApi(db, api)
      // Key confusion: an app signs tokens with its shared key that an API must not take.
      if (await isAudienceShared(db, clientId, identifier, false))
        refuse(at('identifier', ['an app whose application tokens are signed with HS256 has it as its audience']))
      await writeDown(services, db, 'api_created', identifier, now)
    })
  } catch (error) {
    if (isUniqueViolation(error)) throw new AppRefused(`there is an API ${identifier} already`, 'conflict')
    throw error
  }
  return { api, secret }
}

function newClientId(): string {
  return `api.${randomBytes(10).toString('hex')}`
}

/** Changes settings of an API. A scope that it loses is taken from the apps that may have it. @throws AppRefused */
export async function changeApi(services: Services, api: ApiRow, settings: Partial<ApiSettings>): Promise<ApiRow> {
  refuseBuiltIn(services, api)
  const next = { ...api, ...settings }
  refuse(faultsOf(next))
  // A secret must not go on proving an API that has keys.
  const change = hasSecret(next) ? settings : { ...settings, ...hashesOf(null) }
  return alter(services, api.identifier, change, 'api_changed', Object.keys(settings).join(', '), async (db) => {
    if (settings.scopes !== undefined) await keepAppApiScopes(db, api.identifier, settings.scopes)
  })
}

/** Deletes an API. Apps get no more tokens for it, and those that are out now expire. @throws AppRefused when it is gone */
export async function deleteApi(services: Services, api: ApiRow): Promise<void> {
  refuseBuiltIn(services, api)
  const { identifier } = api
  const now = services.clock()
  await transaction(services.storage.pool, async (db) => {
    if (!(await deleteRow(db, identifier, now))) throw isGone(identifier)
    await writeDown(services, db, 'api_deleted', identifier, now)
  })
}

/** A new secret; the previous one stays valid for a day. @throws AppRefused for an API that authenticates with keys */
export async function rotateApiSecret(services: Services, api: ApiRow): Promise<string> {
  refuseBuiltIn(services, api)
  if (!hasSecret(api)) throw new AppRefused(`${api.identifier} authenticates with ${api.authMethod} and has no secret`)
  const secret = makeSecret()
  await alter(services, api.identifier, rotatedHashes(api, secret, services.clock()), 'api_secret_rotated')
  return secret
}

/** The secret before the last rotation is valid no more. @throws AppRefused when there is none */
export async function endPreviousApiSecret(services: Services, api: ApiRow): Promise<void> {
  refuseBuiltIn(services, api)
  if (validPreviousSecret(api, services.clock()) === null)
    throw new AppRefused(`${api.identifier} has no earlier secret that is still valid`, 'conflict')
  const change = { previousSecretHash: null, previousSecretUntil: null }
  await alter(services, api.identifier, change, 'api_previous_secret_ended')
}

function refuseBuiltIn(services: Services, api: ApiRow): void {
  if (isBuiltIn(services, api)) throw new AppRefused(`the API ${api.identifier} is built in`, 'conflict')
}

async function alter(
  services: Services,
  identifier: string,
  change: Partial<ApiRow>,
  kind: AuditKind,
  detail: string | null = null,
  also: (db: Queryable) => Promise<void> = async () => {},
): Promise<ApiRow> {
  const now = services.clock()
  return transaction(services.storage.pool, async (db) => {
    const changed = await updateApi(db, identifier, change, now)
    if (changed === null) throw isGone(identifier)
    await also(db)
    await writeDown(services, db, kind, identifier, now, detail)
    return changed
  })
}

function isGone(identifier: string): AppRefused {
  return new AppRefused(`there is no API ${identifier}`, 'not_found')
}

async function writeDown(
  { operator: actor }: Services,
  db: Queryable,
  kind: AuditKind,
  identifier: string,
  now: Date,
  changed: string | null = null,
): Promise<void> {
  const detail = changed === null ? identifier : `${identifier}: ${changed}`
  await insertAuditEvents(db, [{ kind, detail, actor }], now)
}

/** An absolute URI without a fragment (RFC 8707 §2). The portal itself is an audience, too: of client assertions. */
function identifierFaults({ publicUrl }: Services, identifier: string): string[] {
  const isUri = mayBeIdentifier(identifier) && /^[a-z][a-z0-9+.-]*:./i.test(identifier)
  if (!isUri || !URL.canParse(identifier))
    return ['the identifier of an API is an absolute URI of at most 255 characters']
  if (identifier.includes('#')) return ['the identifier of an API has no fragment (RFC 8707 §2)']
  if (identifier.replace(/\/$/, '') === publicUrl) return ['the identifier of an API is not the address of the portal']
  return []
}

const RESERVED_SCOPES: readonly string[] = OPENID_SCOPES
const MOST_SCOPES = 200

function faultsOf({ name, scopes, tokenTtl, signingAlg, ...keys }: ApiSettings): Fault[] {
  const faults = at('name', nameFaults(name))
  if (scopes.length === 0 || scopes.length > MOST_SCOPES || new Set(scopes).size !== scopes.length)
    faults.push(...at('scopes', [`an API has 1 to ${MOST_SCOPES} scopes, all different`]))
  for (const scope of scopes) {
    if (!/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(scope))
      faults.push(
        ...at('scopes', [
          `scope ${JSON.stringify(scope)}: has 1 to 100 visible ASCII characters, without quotes and backslashes`,
        ]),
      )
    // A token for an API must not open UserInfo.
    if (RESERVED_SCOPES.includes(scope)) faults.push(...at('scopes', [`scope ${scope}: is one of the portal's own`]))
  }
  if (!(SIGNING_ALGS as readonly string[]).includes(signingAlg))
    faults.push(...at('signingAlg', [`application tokens are signed with one of ${SIGNING_ALGS.join(', ')}`]))
  if (keys.authMethod !== 'client_secret_basic' && keys.authMethod !== 'private_key_jwt')
    faults.push(...at('authMethod', ['an API authenticates with client_secret_basic or private_key_jwt']))
  return [...faults, ...rangeFault('tokenTtl', 'token-ttl', tokenTtl, 10, LONGEST_TOKEN), ...keyFaults(keys)]
}
