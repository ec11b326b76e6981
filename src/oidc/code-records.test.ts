import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import type { AuthorizationCode } from 'oidc-provider'
import { createApp } from '../domain/apps/apps.ts'
import { createLogger } from '../logger.ts'
import { type App, openApp } from '../main/app.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { answerIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { createMigratedDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { testConfig } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { CODE_FIELDS, codeRecord, LEFT_OUT } from './code-records.ts'

const CALLBACK = 'https://notes.example.test/callback'
let database: TestDatabase
let app: App
let server: Server
let browser: Browser
let notes: Client
let listener: Client

before(async () => {
  database = await createMigratedDatabase()
  const port = await findFreePort()
  const config = testConfig(database, { PORT: String(port) })
  app = await openApp(config, createLogger('silent'))
  server = createServer((req, res) => app.handle(req, res)).listen(port, config.host)
  await once(server, 'listening')
  await addIdentity(app.services, ada)
  const secretOf = async (id: string, more: object) =>
    (await createApp(app.services, id, { ...notesApp, ...more })).secret
  notes = new Client(config.publicUrl, 'notes', await secretOf('notes', {}), CALLBACK)
  const backchannelLogoutUri = 'https://notes.example.test/logout'
  listener = new Client(config.publicUrl, 'listener', await secretOf('listener', { backchannelLogoutUri }), CALLBACK)
  browser = new Browser(config.publicUrl)
  await browser.signIn(ada)
})
after(async () => {
  server.close()
  server.closeAllConnections()
  await app.close()
  await database.drop()
})

/** The code of an authorization, with what the library has written of it; null when the fast path answered. */
async function authorize(client: Client, change: Record<string, string | null>, extra = '') {
  let written: Record<string, unknown> | null = null
  const look = (code: AuthorizationCode) => {
    const fields = (code.constructor as unknown as { IN_PAYLOAD: string[] }).IN_PAYLOAD
    const all = code as unknown as Record<string, unknown>
    written = Object.fromEntries(fields.filter((name) => all[name] !== undefined).map((name) => [name, all[name]]))
  }
  app.protocol.provider().on('authorization_code.saved', look)
  const { code } = answerIn(await browser.get(client.authorizeUrl(change) + extra), client.redirectUri)
  app.protocol.provider().off('authorization_code.saved', look)
  assert.ok(code, JSON.stringify(change))
  const found = await app.services.storage.protocolRecords.find('AuthorizationCode', code)
  return { written: written as Record<string, unknown> | null, record: found?.payload as Record<string, unknown> }
}

/** Everything an app may add to a request that needs no page, and the field of the record that comes of it. */
const PARAMETERS: [string, Record<string, string | null>, string | null][] = [
  ['nothing', {}, null],
  ['no nonce', { nonce: null }, null],
  ['nonce', { nonce: 'n-1' }, 'nonce'],
  ['claims', { claims: '{"id_token":{"email":null},"userinfo":{"name":null}}' }, 'claims'],
  ['acr_values', { acr_values: 'pwd' }, 'acr'],
  ['max_age', { max_age: '3600' }, 'authTime'],
  ['resource', { resource: 'urn:gatehouse:audience:notes' }, 'resource'],
  ['code_challenge', {}, 'codeChallenge'],
  ['dpop_jkt', { dpop_jkt: 'A'.repeat(43) }, 'dpopJkt'],
  ['prompt', { prompt: 'none' }, null],
  ['state', { state: 'a state' }, null],
  ['login_hint', { login_hint: ada.email }, null],
  ['ui_locales', { ui_locales: 'de en' }, null],
  ['display', { display: 'page' }, null],
  ['response_mode', { response_mode: 'query' }, null],
  ['a scope of the app alone', { scope: 'openid notes:read' }, 'scope'],
]

for (const [what, change, field] of PARAMETERS) {
  test(`the record of a code has the fields that the library writes: ${what}`, async () => {
    for (const client of [notes, listener]) {
      // An unknown parameter leaves the request to the library.
      const { written, record } = await authorize(client, change, '&unrelated=1')
      assert.ok(written)
      const kept = Object.entries(written).filter(([name]) => !(LEFT_OUT as readonly string[]).includes(name))
      const { kind, pending, ...fields } = record
      assert.deepEqual(fields, Object.fromEntries(kept))
      assert.equal(kind, 'AuthorizationCode')
      assert.equal(
        (pending as { openedSilently?: true }).openedSilently,
        change['prompt'] === 'none' ? true : undefined,
      )
      if (field !== null) assert.ok(field in fields, field)
      assert.equal('sid' in fields, client === listener)

      const fast = await authorize(client, change)
      assert.deepEqual(Object.keys(fast.record).toSorted(), Object.keys(record).toSorted())
    }
  })
}

test('the fast path has written some of them', async () => {
  assert.equal((await authorize(notes, { nonce: 'n-2', prompt: 'none' })).written, null)
})

test('each field of a code in the library is kept, left out for a reason, or of a feature that is off', () => {
  const off = ['attestationJkt', 'rar']
  const { IN_PAYLOAD } = app.protocol.provider().AuthorizationCode as unknown as { IN_PAYLOAD: string[] }
  // A code that was used is marked beside its record.
  const known = [...CODE_FIELDS, ...LEFT_OUT, ...off, 'consumed']
  assert.deepEqual([...new Set(IN_PAYLOAD)].toSorted(), known.toSorted())
})

test('a field that the record would lose is refused', () => {
  const issue = (more: object) =>
    codeRecord(
      { accountId: 'a', clientId: 'notes', grantId: 'g', ...more },
      { openid: undefined, resources: undefined },
      { identitySessionId: null, isSilent: false },
    )
  assert.throws(() => issue({ attestationJkt: 'a key' }), /no place for attestationJkt/)
  assert.doesNotThrow(() => issue({ attestationJkt: undefined }))
})
