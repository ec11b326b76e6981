import {
  type ApiGrantKind,
  type AppApiRow,
  findExchangeTarget as findTarget,
  listAppApis as listRows,
  listRequestableApis as listRequestable,
  type GrantedApi,
} from '../../storage/app-apis.ts'
import type { Services } from '../services.ts'
import { adminApiOf, type ApiRow, findApi, mayBeIdentifier } from './apis.ts'
import { AppRefused } from './app-refused.ts'

export type { ApiGrantKind, AppApiRow, GrantedApi }

/** What an app may have of one API. */
export type ApiGrant = Pick<AppApiRow, 'identifier' | 'scopes'>

/** What an app may have of APIs, in each way; what is absent stays. */
export type ApiGrants = Partial<Record<ApiGrantKind, ApiGrant[]>>

/** What an app may have of APIs, in both ways; of all apps without a client id. */
export async function listAppApis({ storage }: Services, clientId?: string): Promise<AppApiRow[]> {
  return listRows(storage, clientId)
}

/** Whether an app may call any API for users (RFC 8693), and this one, which is null when it may not. */
export async function findExchangeTarget(
  { storage }: Services,
  clientId: string,
  identifier: string | null,
): Promise<{ mayExchange: boolean; target: GrantedApi | null }> {
  return findTarget(storage, clientId, identifier !== null && mayBeIdentifier(identifier) ? identifier : null)
}

/** The APIs that an app may ask for with `resource` (RFC 8707). */
export async function listRequestableApis({ storage }: Services, clientId: string): Promise<GrantedApi[]> {
  return listRequestable(storage.pool, clientId)
}

/**
 * Grants of these APIs. Without `scopes`, each with all that the API has; otherwise each with those of them that it has. Scopes
 * that begin with `admin:` name the admin API by themselves.
 * @throws AppRefused for an unknown API, for a scope that none of them has, and for an API of which nothing is left
 */
export async function apiGrantsFor(
  services: Services,
  identifiers: string[],
  scopes: string[] | null,
): Promise<ApiGrant[]> {
  const named = apisMeant(services, identifiers, scopes)
  const apis = await Promise.all([...new Set(named)].map(async (each) => findNamed(services, each)))
  return divideScopes(apis, scopes ?? apis.flatMap((api) => api.scopes))
}

/** The APIs that are named; the admin API where none is, and a scope is of it. */
export function apisMeant(
  portal: Pick<Services, 'publicUrl'>,
  identifiers: string[],
  scopes: string[] | null,
): string[] {
  const isForOperators = identifiers.length === 0 && scopes?.some((scope) => scope.startsWith('admin:')) === true
  return isForOperators ? [adminApiOf(portal)] : identifiers
}

/** Each API with those of the scopes that it has. @throws AppRefused as `apiGrantsFor` */
export function divideScopes(apis: ApiGrant[], scopes: string[]): ApiGrant[] {
  const unknown = scopes.filter((scope) => !apis.some((api) => api.scopes.includes(scope)))
  if (unknown.length > 0) throw new AppRefused(`none of the APIs has the scope ${unknown.join(', ')}`)
  return apis.map(({ identifier, scopes: all }) => {
    const granted = all.filter((scope) => scopes.includes(scope))
    if (granted.length === 0) throw new AppRefused(`the API ${identifier} has none of these scopes`)
    return { identifier, scopes: granted }
  })
}

async function findNamed(services: Services, identifier: string): Promise<ApiRow> {
  const api = await findApi(services, identifier)
  if (api === null) throw new AppRefused(`there is no API ${identifier}`)
  return api
}
