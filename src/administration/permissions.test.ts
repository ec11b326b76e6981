import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { adminApiOf } from '../domain/apps/apis.ts'
import { addMembers, createGroup } from '../domain/identities/groups.ts'
import { createIdentityProvider } from '../domain/identity-providers/identity-providers.ts'
import { ADMIN, SUPPORT } from '../domain/identities/roles.ts'
import { requireAdministrator } from '../http/admin/guard.ts'
import { createRoutes } from '../http/routes.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { callApi, openAdminClient, serviceToken } from '../testing/portal/admin-client.ts'
import { contactsApi } from '../testing/portal/apis.ts'
import { notesApp, robotService } from '../testing/portal/apps.ts'
import { dump } from '../testing/portal/dump.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { ADMIN_SCOPES } from './admin-api.ts'
import { type AnyOperation, scopesFor } from './operation.ts'
import { OPERATIONS } from './operations.ts'

const CONTACTS = 'https://contacts.example.test/'
const operations: AnyOperation[] = Object.values(OPERATIONS)
const administrator = { ...ada, username: 'administrator', email: 'administrator@example.test' }
const support = { ...ada, username: 'support', email: 'support@example.test' }

let server: TestServer
/** Real things, by the parameters of paths that stand for them. */
let things: Record<string, string>
let notes: Client
let everything: Client
let anonymous: Browser
let ordinary: Browser
let oneFactor: Browser
let supporter: Browser
let admin: Browser

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  const { services } = server
  const identity = await server.addIdentity(grace)
  await server.addIdentity(ada)
  await server.addIdentity(administrator, { roles: [ADMIN] })
  await server.addIdentity(support, { roles: [SUPPORT] })
  await server.addApi(CONTACTS, contactsApi)
  const [redirectUri = ''] = notesApp.redirectUris
  const request = [{ identifier: adminApiOf(services), scopes: [...ADMIN_SCOPES] }]
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp, { request }), redirectUri)
  const google = { name: 'Google', issuer: 'https://accounts.google.com', clientId: 'gatehouse' }
  await createIdentityProvider(services, 'google', google)
  const group = await createGroup(services, { name: 'Group', roles: ['reader'] })
  await addMembers(services, group.id, [identity])
  everything = (await openAdminClient(server, 'everything', [...ADMIN_SCOPES])).client

  anonymous = new Browser(server.url)
  ordinary = await signedIn(ada)
  oneFactor = await signedIn(administrator)
  supporter = await signedIn(support)
  admin = await signedIn(administrator)
  const graces = await signedIn(grace)
  await notes.connect(graces)
  await proveTwoFactors(support)
  await proveTwoFactors(administrator)
  const [family, session] = await Promise.all(
    ['families', 'identity_sessions'].map(async (table) => {
      const found = await services.storage.pool.query<{ id: string }>(
        `SELECT id FROM ${table} WHERE identity_id = $1 LIMIT 1`,
        [identity],
      )
      return found.rows[0]?.id as string
    }),
  )
  things = {
    identity,
    group: group.id,
    client_id: 'notes',
    app: 'notes',
    api: CONTACTS,
    family: family as string,
    session: session as string,
    provider: 'google',
    role: 'reader',
    attribute: 'department',
  }
})
after(() => server.close())

async function signedIn(person: typeof ada): Promise<Browser> {
  const browser = new Browser(server.url)
  await browser.signIn(person)
  return browser
}

/** The newest sign-in of this user has had a second step. */
async function proveTwoFactors({ username }: typeof ada): Promise<void> {
  await server.services.storage.pool.query(
    `UPDATE identity_sessions SET amr = '{pwd,otp,mfa}' WHERE id =
       (SELECT s.id FROM identity_sessions s JOIN identities i ON i.id = s.identity_id WHERE i.username = $1 ORDER BY s.created_at DESC, s.id DESC LIMIT 1)`,
    [username],
  )
}

const pages = createRoutes(pass, pass, pass, pass).stack.flatMap(({ route }) => {
  if (route === undefined) return []
  const handles = route.stack.map(({ handle }) => handle)
  return [route.path].flat().flatMap((path: string) =>
    path.startsWith('/admin')
      ? [...new Set(route.stack.map(({ method }) => (method ?? 'get').toUpperCase()))].map((method) => ({
          method,
          path,
          isForAdministrators: handles.includes(requireAdministrator),
        }))
      : [],
  )
})

function pass(_req: unknown, _res: unknown, next: () => void): void {
  next()
}

function filled(path: string): string {
  return path.replaceAll(/:(\w+)|\{(\w+)\}/g, (_, one?: string, other?: string) =>
    encodeURIComponent(things[one ?? other ?? ''] ?? 'nothing'),
  )
}

async function open(browser: Browser, { method, path }: (typeof pages)[number]): Promise<Response> {
  return method === 'GET' ? browser.get(filled(path)) : browser.post(filled(path), {})
}

/** Nothing in the database is other than before, but for what browsers are known by. */
async function unchanged(act: () => Promise<void>, but: string[] = []): Promise<void> {
  const { pool } = server.services.storage
  const before = await dump(pool)
  await act()
  const now = await dump(pool)
  for (const table of Object.keys(before))
    if (!but.some((each) => table.endsWith(each))) assert.deepEqual(now[table], before[table], table)
}

/** The cookies and forms of browsers, rate limits, and what is counted in the background. */
const OF_BROWSERS = [
  'browser_sessions',
  '.handshakes',
  '.counters',
  '.tallies',
  '.root_secrets',
  '.portal_processes',
  '.audit_checkpoints',
  // Refusals are written down.
  '.audit_events',
]

test('admin pages send strangers to the sign-in page, and are for operators with two factors', async () => {
  assert.ok(pages.length >= 4)
  await unchanged(async () => {
    for (const page of pages) {
      const told = `${page.method} ${page.path}`
      const stranger = await open(anonymous, page)
      assert.equal(stranger.status, 303, told)
      assert.match(stranger.headers.get('location') ?? '', /^\/login\b/, told)
      assert.equal((await open(ordinary, page)).status, 403, told)
      assert.equal((await open(oneFactor, page)).status, 403, told)
      if (page.isForAdministrators) assert.equal((await open(supporter, page)).status, 403, told)
    }
  }, OF_BROWSERS)
})

test('support changes no roles, keys or settings on any admin page', async () => {
  const may = [
    '.audit_events',
    '.families',
    '.identity_sessions',
    '.mail_links',
    'queue.job',
    '.notifications',
    '.revocations',
    // The number of its ended sign-ins; the rest of it is compared by itself.
    '.identities',
  ]
  const identities = async () =>
    (await server.services.storage.pool.query("SELECT to_jsonb(i) - 'sign_outs' AS row FROM identities i ORDER BY id"))
      .rows
  const unharmed = await identities()
  await unchanged(async () => {
    for (const page of pages) {
      const { status } = await open(supporter, page)
      assert.ok(status < 500 && status !== 401, `${page.method} ${page.path}: ${status}`)
    }
  }, [...OF_BROWSERS, ...may])
  assert.deepEqual(await identities(), unharmed)
})

test('the admin API refuses every operation without a token that allows it, and changes nothing', async () => {
  const only = async (scope: string) => serviceToken(everything, { scope })
  const contacts = { request: [{ identifier: CONTACTS, scopes: ['contacts:read'] }] }
  const robot = new Client(server.url, 'robot', await server.addApp('robot', robotService, contacts), '')
  const user = await tokenOfAdministrator()
  const tokens = new Map<string, string>()
  for (const scope of ADMIN_SCOPES) tokens.set(scope, await only(scope))
  const elsewhere = await serviceToken(robot)

  await unchanged(async () => {
    for (const asked of operations) {
      const call = async (token: string | null) => {
        const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` }
        const hasBody = asked.method !== 'get' && asked.method !== 'delete'
        return (
          await callApi(server.url, asked.method.toUpperCase(), filled(asked.path), hasBody ? {} : undefined, headers)
        ).status
      }
      for (const token of [null, elsewhere, user]) assert.equal(await call(token), 401, asked.name)
      const sufficient = scopesFor(asked)
      const other = asked.resource === 'settings' ? 'groups' : 'settings'
      const insufficient = [
        `admin:${other}:write`,
        ...(asked.kind === 'write' ? ['admin:read', `admin:${asked.resource}:read`] : []),
      ]
      for (const scope of insufficient)
        assert.equal(await call(tokens.get(scope) as string), 403, `${asked.name}, ${scope}`)
      if (asked.kind === 'read')
        for (const scope of sufficient) {
          const status = await call(tokens.get(scope) as string)
          assert.ok([200, 404, 422].includes(status), `${asked.name}, ${scope}: ${status}`)
        }
    }
  }, OF_BROWSERS)
})

test('each scope that a change names allows it', async () => {
  for (const asked of operations.filter(({ kind }) => kind === 'write'))
    for (const scope of scopesFor(asked)) {
      const token = await serviceToken(everything, { scope })
      const path = asked.path.replaceAll(/\{\w+\}/g, 'nothing')
      const hasBody = asked.method !== 'delete' && asked.method !== 'get'
      const answer = await callApi(server.url, asked.method.toUpperCase(), path, hasBody ? {} : undefined, {
        Authorization: `Bearer ${token}`,
      })
      assert.ok(![401, 403].includes(answer.status) && answer.status < 500, `${asked.name}, ${scope}: ${answer.status}`)
    }
})

test('administrators come to every admin page', async () => {
  // Last, because the forms among them act.
  for (const page of pages.toSorted((one, other) => one.method.localeCompare(other.method))) {
    const { status } = await open(admin, page)
    assert.ok(![401, 403].includes(status) && status < 500, `${page.method} ${page.path}: ${status}`)
  }
})

/** The best that a user has: an administrator's token for the admin API, by way of an app. */
async function tokenOfAdministrator(): Promise<string> {
  const resource = adminApiOf(server.services)
  const code = await notes.code(admin, { resource, scope: 'openid admin:read admin:write' })
  const response = await notes.exchange(code, { resource })
  assert.equal(response.status, 200)
  return ((await response.json()) as { access_token: string }).access_token
}
