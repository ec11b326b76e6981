import { z } from 'zod'
import { type ApiGrants, apiGrantsFor, type AppApiRow, listAppApis } from '../domain/apps/app-apis.ts'
import { readIcon } from '../domain/apps/app-icons.ts'
import { addAppRole, removeAppRoleFromAll } from '../domain/apps/app-roles.ts'
import { sendTest } from '../domain/apps/test-notifications.ts'
import {
  type AppRow,
  changeApp,
  countFamiliesOf,
  createApp,
  disableApp,
  enableApp,
  endPreviousSecret,
  deleteApp,
  findRegisteredApp,
  rotateSecret,
  rotateTokenKey,
  searchApps,
} from '../domain/apps/apps.ts'
import { DEFAULT_SETTINGS } from '../domain/apps/app-settings.ts'
import { hasSecret } from '../domain/apps/client-keys.ts'
import { validPreviousSecret } from '../domain/apps/client-secrets.ts'
import { tokenKeyOf } from '../domain/keys/shared-keys.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import {
  APP_SETTINGS,
  APP_TYPE,
  describeSettings,
  groupNamesOf,
  kindOf,
  SETTING_OF,
  settingsOf,
  typeOf,
} from './app-settings.ts'
import { byField } from './app-refusals.ts'
import { operation } from './operation.ts'
import { keyIn, listOf, PAGE, pageOf } from './pages-of-lists.ts'

const clientId = z.string().min(1).max(200)
const which = { client_id: clientId }
const identifier = z.string().max(300)
const roles = z.array(z.string())

const summary = {
  client_id: z.string(),
  name: z.string(),
  type: APP_TYPE,
  state: z.enum(['enabled', 'disabled']),
  icon: z.string().nullable().describe('The hash of its picture, at `/app-icons/{client_id}/{icon}`.'),
  has_secret: z.boolean(),
  previous_secret_until: z.iso
    .datetime()
    .nullable()
    .describe('Until when the secret before the last rotation is valid, too; null when it is not.'),
  token_key_id: z.string().nullable().describe('The `kid` of its tokens with HS256; null without such tokens.'),
  roles: roles.describe('The roles that users can have in it.'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
}

const grants = z.record(z.string(), roles)
const app = z
  .object({
    ...summary,
    ...APP_SETTINGS,
    native: z.boolean().describe('It runs on a device: a redirect URI may be loopback or a scheme of its own.'),
    apis: grants.describe('The APIs that it may have tokens for, by identifier, with their scopes.'),
    exchange_for: grants.describe('The APIs that it may call on behalf of users, with their scopes.'),
  })
  .meta({ id: 'App' })

const shown = app
  .extend({
    families: z.number().int().describe('How many of its families live; 10000 at most.'),
    users: z.number().int().describe('How many users those are of.'),
  })
  .meta({ id: 'AppWithCounts' })

const secret = z
  .object({
    client_id: z.string(),
    client_secret: z.string(),
    previous_secret_until: z.iso.datetime().nullable(),
  })
  .meta({ id: 'AppSecret' })

const tokenKey = z.string().nullable().describe('The key of HS256, answered once when it is made; null otherwise.')

const rolesOfApp = z.object({ client_id: z.string(), roles }).meta({ id: 'AppRoles' })

/** Null for all the scopes that the API has now. */
const givenGrants = z
  .record(identifier, z.array(z.string().max(100)).min(1).max(200).nullable())
  .describe('Replaces them all. By identifier, with scopes; null for every scope that the API has now.')
  .optional()
const given = {
  ...z.strictObject(APP_SETTINGS).partial().shape,
  apis: givenGrants,
  exchange_for: givenGrants,
}

/** The setting of the registry that each field stands for. */
const NAMES = { ...SETTING_OF, client_id: 'clientId' }

const about = { resource: 'apps', forSupport: true } as const
const change = { resource: 'apps', kind: 'write', forSupport: false } as const

export const APP_OPERATIONS = {
  listApps: operation({
    name: 'listApps',
    summary: 'List the apps by name.',
    method: 'get',
    path: '/apps',
    ...about,
    kind: 'read',
    input: z.strictObject({
      search: z.string().max(100).optional().describe('The beginning of the name or the client id.'),
      state: z.enum(['enabled', 'disabled']).optional(),
      ...PAGE,
    }),
    output: listOf(app),
    async act(services, { search = '', state, limit, cursor }) {
      const isDisabled = state === undefined ? null : state === 'disabled'
      const after = keyIn(cursor, 2) as [string, string] | null
      const rows = await searchApps(services, { prefix: search.trim(), isDisabled, after, limit: limit + 1 })
      const describe = await describerOf(services, rows)
      return pageOf(rows, limit, describe, (row) => [row.nameKey, row.clientId])
    },
  }),

  createApp: operation({
    name: 'createApp',
    summary: 'Register an app; its secret is answered once.',
    method: 'post',
    path: '/apps',
    ...change,
    status: 201,
    input: z.strictObject({ ...which, type: APP_TYPE, ...given, name: APP_SETTINGS.name }),
    output: app.extend({ client_secret: z.string().nullable(), token_key: tokenKey }).meta({ id: 'NewApp' }),
    async act(services, { client_id: id, type, apis, exchange_for, ...settings }) {
      const kind = kindOf(type)
      const { name, ...others } = await byField(NAMES, async () => settingsOf(services, settings))
      const granted = await grantsOf(services, { request: apis, exchange: exchange_for })
      const created = await byField(NAMES, async () =>
        createApp(
          services,
          id,
          {
            ...DEFAULT_SETTINGS,
            ...kind,
            authMethod: kind.isPublic ? 'none' : 'client_secret_basic',
            redirectUris: [],
            ...(kind.isService ? { scope: '' } : {}),
            ...others,
            name: name as string,
          },
          null,
          granted,
        ),
      )
      return {
        ...(await describeApp(services, created.app)),
        client_secret: created.secret,
        token_key: tokenKeyOf(services, created.app),
      }
    },
  }),

  showApp: operation({
    name: 'showApp',
    summary: 'Show everything about an app but its secret, and how many users are signed in to it.',
    method: 'get',
    path: '/apps/{client_id}',
    ...about,
    kind: 'read',
    input: z.strictObject(which),
    output: shown,
    async act(services, { client_id: id }) {
      const found = await find(services, id)
      return { ...(await describeApp(services, found)), ...(await countFamiliesOf(services, found.clientId)) }
    },
  }),

  updateApp: operation({
    name: 'updateApp',
    summary: 'Change an app; what the input does not name stays.',
    method: 'patch',
    path: '/apps/{client_id}',
    ...change,
    input: z.strictObject({ ...which, ...given }),
    output: app.extend({ token_key: tokenKey }).meta({ id: 'ChangedApp' }),
    async act(services, { client_id: id, apis, exchange_for, ...settings }) {
      const found = await find(services, id)
      const changes = await byField(NAMES, async () => settingsOf(services, settings))
      const granted = await grantsOf(services, { request: apis, exchange: exchange_for })
      const changed = await byField(NAMES, async () => changeApp(services, found, changes, undefined, granted))
      const isNew = changed.tokenKeyId !== found.tokenKeyId
      return { ...(await describeApp(services, changed)), token_key: isNew ? tokenKeyOf(services, changed) : null }
    },
  }),

  rotateAppSecret: operation({
    name: 'rotateAppSecret',
    summary: 'Make a new secret, which is answered once; the one before stays valid for a day.',
    method: 'post',
    path: '/apps/{client_id}/secret',
    ...change,
    status: 201,
    input: z.strictObject(which),
    output: secret,
    async act(services, { client_id: id }) {
      const made = await rotateSecret(services, await find(services, id))
      return { client_id: id, client_secret: made, previous_secret_until: await untilOf(services, id) }
    },
  }),

  rotateAppTokenKey: operation({
    name: 'rotateAppTokenKey',
    summary: 'Make a new key of HS256, which is answered once; tokens with the one before are valid no more.',
    method: 'post',
    path: '/apps/{client_id}/token-key',
    ...change,
    status: 201,
    input: z.strictObject(which),
    output: z.object({ client_id: z.string(), token_key: z.string() }).meta({ id: 'AppTokenKey' }),
    async act(services, { client_id: id }) {
      return { client_id: id, token_key: await rotateTokenKey(services, await find(services, id)) }
    },
  }),

  endPreviousAppSecret: operation({
    name: 'endPreviousAppSecret',
    summary: 'End the validity of the secret before the last rotation at once.',
    method: 'delete',
    path: '/apps/{client_id}/previous-secret',
    ...change,
    input: z.strictObject(which),
    output: null,
    async act(services, { client_id: id }) {
      await endPreviousSecret(services, await find(services, id))
      return null
    },
  }),

  setAppIcon: operation({
    name: 'setAppIcon',
    summary: 'Give an app a picture: PNG, JPEG, WebP or SVG, at most 256 kB.',
    method: 'put',
    path: '/apps/{client_id}/icon',
    ...change,
    input: z.strictObject({ ...which, picture: z.base64().max(400_000).describe('Its bytes, in Base64.') }),
    output: app,
    async act(services, { client_id: id, picture }) {
      const icon = readIcon(Uint8Array.from(Buffer.from(picture, 'base64')))
      return describeApp(services, await changeApp(services, await find(services, id), {}, icon))
    },
  }),

  removeAppIcon: operation({
    name: 'removeAppIcon',
    summary: 'Remove the picture of an app.',
    method: 'delete',
    path: '/apps/{client_id}/icon',
    ...change,
    input: z.strictObject(which),
    output: null,
    async act(services, { client_id: id }) {
      await changeApp(services, await find(services, id), {}, null)
      return null
    },
  }),

  listAppRoles: operation({
    name: 'listAppRoles',
    summary: 'List the roles that users can have in an app.',
    method: 'get',
    path: '/apps/{client_id}/roles',
    ...about,
    kind: 'read',
    input: z.strictObject(which),
    output: rolesOfApp,
    async act(services, { client_id: id }) {
      return { client_id: id, roles: (await find(services, id)).roles }
    },
  }),

  addAppRole: operation({
    name: 'addAppRole',
    summary: 'Add a role that users can have in an app.',
    method: 'post',
    path: '/apps/{client_id}/roles',
    ...change,
    input: z.strictObject({ ...which, role: z.string().max(100) }),
    output: rolesOfApp,
    async act(services, { client_id: id, role }) {
      await find(services, id)
      return { client_id: id, roles: await addAppRole(services, id, role) }
    },
  }),

  removeAppRole: operation({
    name: 'removeAppRole',
    summary: 'Remove a role of an app, and take it from every user who has it there.',
    method: 'delete',
    path: '/apps/{client_id}/roles/{role}',
    ...change,
    input: z.strictObject({ ...which, role: z.string().min(1).max(100) }),
    output: null,
    async act(services, { client_id: id, role }) {
      await find(services, id)
      await removeAppRoleFromAll(services, id, role)
      return null
    },
  }),

  disableApp: operation({
    name: 'disableApp',
    summary: 'Refuse an app from now on, revoke its tokens and end all its families.',
    method: 'post',
    path: '/apps/{client_id}/disable',
    ...change,
    input: z.strictObject(which),
    output: app,
    async act(services, { client_id: id }) {
      return describeApp(services, await disableApp(services, await find(services, id)))
    },
  }),

  enableApp: operation({
    name: 'enableApp',
    summary: 'Enable a disabled app; its ended families stay ended.',
    method: 'post',
    path: '/apps/{client_id}/enable',
    ...change,
    input: z.strictObject(which),
    output: app,
    async act(services, { client_id: id }) {
      return describeApp(services, await enableApp(services, await find(services, id)))
    },
  }),

  deleteApp: operation({
    name: 'deleteApp',
    summary: 'Delete an app: its tokens are revoked, its families end, and its client id is free again an hour later.',
    method: 'delete',
    path: '/apps/{client_id}',
    ...change,
    input: z.strictObject(which),
    output: null,
    async act(services, { client_id: id }) {
      await deleteApp(services, await find(services, id))
      return null
    },
  }),

  sendTestNotification: operation({
    name: 'sendTestNotification',
    summary:
      'Send an app a signed notification about a user and a session that do not exist, and answer what came back.',
    method: 'post',
    path: '/apps/{client_id}/test-notification',
    ...change,
    input: z.strictObject({ ...which, kind: z.enum(['logout', 'event']).default('logout') }),
    output: z
      .object({
        outcome: z.enum(['accepted', 'refused', 'unreachable']),
        status: z.number().int().nullable().describe('The HTTP status; null without an answer.'),
        problem: z.string().nullable().describe('What went wrong, as a part of a sentence about the app.'),
        milliseconds: z.number().int(),
        uri: z.string(),
      })
      .meta({ id: 'TestNotification' }),
    async act(services, { client_id: id, kind }) {
      return sendTest(services, await find(services, id), kind)
    },
  }),
}

export type ShownApp = z.output<typeof shown>

async function find(services: Services, id: string): Promise<AppRow> {
  const found = await findRegisteredApp(services, id)
  if (found === null) throw new Refused(`there is no app ${id}`, 'not_found')
  return found
}

async function untilOf(services: Services, id: string): Promise<string | null> {
  const until = validPreviousSecret(await find(services, id), services.clock())
  return until && until.toISOString()
}

/** What the input grants of APIs. @throws Refused */
async function grantsOf(
  services: Services,
  asked: Record<keyof ApiGrants, Record<string, string[] | null> | undefined>,
): Promise<ApiGrants> {
  const granted: ApiGrants = {}
  for (const [kind, apis] of Object.entries(asked) as [keyof ApiGrants, (typeof asked)['request']][]) {
    if (apis === undefined) continue
    const each = Object.entries(apis).map(async ([name, scopes]) => apiGrantsFor(services, [name], scopes))
    granted[kind] = (await Promise.all(each)).flat()
  }
  return granted
}

async function describeApp(services: Services, row: AppRow): Promise<z.output<typeof app>> {
  return (await describerOf(services, [row]))(row)
}

/** Says apps as JSON. What is beside their rows is read for all of them at once. */
async function describerOf(services: Services, rows: AppRow[]): Promise<(row: AppRow) => z.output<typeof app>> {
  const groups = await groupNamesOf(services, rows)
  const [only, ...others] = rows
  const apis = rows.length === 0 ? [] : await listAppApis(services, others.length === 0 ? only?.clientId : undefined)
  const apisOf = Map.groupBy(apis, (each) => each.clientId)
  const now = services.clock()
  return (row) => {
    const own = apisOf.get(row.clientId) ?? []
    const until = validPreviousSecret(row, now)
    return {
      client_id: row.clientId,
      type: typeOf(row),
      native: row.isNative,
      state: row.disabledAt === null ? 'enabled' : 'disabled',
      icon: row.icon,
      has_secret: hasSecret(row),
      previous_secret_until: until && until.toISOString(),
      token_key_id: row.tokenKeyId,
      roles: row.roles,
      ...describeSettings(row, groups),
      apis: scopesOf(own, 'request'),
      exchange_for: scopesOf(own, 'exchange'),
      created_at: row.createdAt.toISOString(),
      updated_at: row.updatedAt.toISOString(),
    }
  }
}

function scopesOf(granted: AppApiRow[], kind: AppApiRow['kind']): Record<string, string[]> {
  return Object.fromEntries(
    granted.filter((each) => each.kind === kind).map(({ identifier: name, scopes }) => [name, scopes]),
  )
}
