import { z } from 'zod'
import {
  type ApiRow,
  type ApiSettings,
  changeApi,
  createApi,
  deleteApi,
  endPreviousApiSecret,
  findApi,
  findApiByClientId,
  listAppsOfApi,
  mayBeIdentifier,
  rotateApiSecret,
  searchApis,
} from '../domain/apps/apis.ts'
import { hasSecret } from '../domain/apps/client-keys.ts'
import { validPreviousSecret } from '../domain/apps/client-secrets.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { keySet } from './app-settings.ts'
import { byField } from './app-refusals.ts'
import { operation } from './operation.ts'
import { keyIn, listOf, PAGE, pageOf } from './pages-of-lists.ts'

const settings = {
  name: z.string().max(200).describe('What operators and users call it.'),
  scopes: z.array(z.string().max(200)).max(200).describe('The scopes that it knows.'),
  token_ttl: z
    .number()
    .int()
    .min(0)
    .max(86_400)
    .nullable()
    .describe('Life of the application tokens for it (seconds).'),
  signing_alg: z.string().max(20).describe('What they are signed with: ES256, RS256 or EdDSA.'),
  auth_method: z.string().max(50).describe('client_secret_basic or private_key_jwt.'),
  jwks: keySet.nullable().describe('Its public keys.'),
  jwks_uri: z.string().max(2000).nullable().describe('Where its public keys are fetched.'),
}

const api = z
  .object({
    identifier: z.string().describe('The `aud` of the tokens for it.'),
    client_id: z.string().describe('With this and its credential it asks for introspections.'),
    ...settings,
    has_secret: z.boolean(),
    previous_secret_until: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Api' })

const grant = z.object({
  client_id: z.string(),
  name: z.string(),
  way: z.enum(['request', 'exchange']),
  scopes: z.array(z.string()),
})

const which = { api: z.string().min(1).max(300).describe('The identifier or the client id of the API.') }
const given = z.strictObject(settings).partial().shape

/** Apps that are named at most. */
const MOST_APPS = 200

/** The setting of the registry that each field stands for. */
const NAMES = {
  identifier: 'identifier',
  name: 'name',
  scopes: 'scopes',
  token_ttl: 'tokenTtl',
  signing_alg: 'signingAlg',
  auth_method: 'authMethod',
  jwks: 'jwks',
  jwks_uri: 'jwksUri',
}

const about = { resource: 'apis', forSupport: true } as const
const change = { resource: 'apis', kind: 'write', forSupport: false } as const

export const API_OPERATIONS = {
  listApis: operation({
    name: 'listApis',
    summary: 'List the APIs by name.',
    method: 'get',
    path: '/apis',
    ...about,
    kind: 'read',
    input: z.strictObject({
      search: z.string().max(100).optional().describe('The beginning of the name or the identifier.'),
      ...PAGE,
    }),
    output: listOf(api),
    async act(services, { search = '', limit, cursor }) {
      const after = keyIn(cursor, 2) as [string, string] | null
      const rows = await searchApis(services, { prefix: search.trim(), after, limit: limit + 1 })
      return pageOf(
        rows,
        limit,
        (row) => describe(services, row),
        (row) => [row.nameKey, row.identifier],
      )
    },
  }),

  createApi: operation({
    name: 'createApi',
    summary: 'Register an API; the secret with which it asks for introspections is answered once.',
    method: 'post',
    path: '/apis',
    ...change,
    status: 201,
    input: z.strictObject({ identifier: z.string().max(300), ...given, name: settings.name }),
    output: api.extend({ client_secret: z.string().nullable() }).meta({ id: 'NewApi' }),
    async act(services, { identifier, name, ...rest }) {
      const { api: created, secret } = await byField(NAMES, async () =>
        createApi(services, identifier, {
          name,
          scopes: [],
          tokenTtl: null,
          signingAlg: 'ES256',
          authMethod: 'client_secret_basic',
          jwks: null,
          jwksUri: null,
          ...settingsOf(rest),
        }),
      )
      return { ...describe(services, created), client_secret: secret }
    },
  }),

  showApi: operation({
    name: 'showApi',
    summary: 'Show everything about an API but its secret, and which apps may have what of it.',
    method: 'get',
    path: '/apis/{api}',
    ...about,
    kind: 'read',
    input: z.strictObject(which),
    output: api.extend({ apps: z.array(grant).describe('200 at most.') }).meta({ id: 'ApiWithApps' }),
    async act(services, { api: id }) {
      const found = await find(services, id)
      const apps = await listAppsOfApi(services, found.identifier, MOST_APPS)
      return {
        ...describe(services, found),
        apps: apps.map(({ clientId, kind, ...rest }) => ({
          client_id: clientId,
          way: kind as 'request' | 'exchange',
          ...rest,
        })),
      }
    },
  }),

  updateApi: operation({
    name: 'updateApi',
    summary: 'Change an API; what the input does not name stays.',
    method: 'patch',
    path: '/apis/{api}',
    ...change,
    input: z.strictObject({ ...which, ...given }),
    output: api,
    async act(services, { api: id, ...rest }) {
      const found = await find(services, id)
      return describe(services, await byField(NAMES, async () => changeApi(services, found, settingsOf(rest))))
    },
  }),

  deleteApi: operation({
    name: 'deleteApi',
    summary: 'Delete an API; no app gets a token for it any more.',
    method: 'delete',
    path: '/apis/{api}',
    ...change,
    input: z.strictObject(which),
    output: null,
    async act(services, { api: id }) {
      await deleteApi(services, await find(services, id))
      return null
    },
  }),

  rotateApiSecret: operation({
    name: 'rotateApiSecret',
    summary: 'Make a new secret, which is answered once; the one before stays valid for a day.',
    method: 'post',
    path: '/apis/{api}/secret',
    ...change,
    status: 201,
    input: z.strictObject(which),
    output: z
      .object({
        identifier: z.string(),
        client_id: z.string(),
        client_secret: z.string(),
        previous_secret_until: z.iso.datetime().nullable(),
      })
      .meta({ id: 'ApiSecret' }),
    async act(services, { api: id }) {
      const { identifier, clientId } = await find(services, id)
      const secret = await rotateApiSecret(services, await find(services, id))
      const { previous_secret_until: until } = describe(services, await find(services, identifier))
      return { identifier, client_id: clientId, client_secret: secret, previous_secret_until: until }
    },
  }),

  endPreviousApiSecret: operation({
    name: 'endPreviousApiSecret',
    summary: 'End the validity of the secret before the last rotation at once.',
    method: 'delete',
    path: '/apis/{api}/previous-secret',
    ...change,
    input: z.strictObject(which),
    output: null,
    async act(services, { api: id }) {
      await endPreviousApiSecret(services, await find(services, id))
      return null
    },
  }),
}

async function find(services: Services, id: string): Promise<ApiRow> {
  const byClientId = await findApiByClientId(services, id)
  const found = byClientId ?? (mayBeIdentifier(id) ? await findApi(services, id) : null)
  if (found === null) throw new Refused(`there is no API ${id}`, 'not_found')
  return found
}

type GivenSettings = { [Name in keyof typeof settings]?: z.output<(typeof settings)[Name]> | undefined }

/** The settings that are given. An API with keys authenticates with them, and one without has a secret. */
function settingsOf({ token_ttl, signing_alg, auth_method, jwks, jwks_uri, ...rest }: GivenSettings) {
  const hasKeys = Boolean(jwks ?? jwks_uri)
  const namesKeys = jwks !== undefined || jwks_uri !== undefined
  const named = {
    ...rest,
    tokenTtl: token_ttl,
    signingAlg: signing_alg,
    jwks: jwks_uri ? (jwks ?? null) : jwks,
    jwksUri: jwks ? (jwks_uri ?? null) : jwks_uri,
    authMethod: auth_method ?? (hasKeys ? 'private_key_jwt' : namesKeys ? 'client_secret_basic' : undefined),
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)) as Partial<ApiSettings>
}

function describe({ clock }: Services, row: ApiRow): z.output<typeof api> {
  const until = validPreviousSecret(row, clock())
  return {
    identifier: row.identifier,
    client_id: row.clientId,
    name: row.name,
    scopes: row.scopes,
    token_ttl: row.tokenTtl,
    signing_alg: row.signingAlg,
    auth_method: row.authMethod,
    jwks: row.jwks as z.output<typeof keySet> | null,
    jwks_uri: row.jwksUri,
    has_secret: hasSecret(row),
    previous_secret_until: until && until.toISOString(),
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}
