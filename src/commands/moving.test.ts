import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { jwtVerify } from 'jose'
import pg from 'pg'
import { putConsent } from '../storage/consents.ts'
import { findApp, rotateSecret } from '../domain/apps/apps.ts'
import { MOVED_COLUMNS } from '../domain/moving/contents.ts'
import { passkeySignInOptions } from '../domain/sign-in/passkeys.ts'
import { Authenticator } from '../testing/browser/authenticator.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, claimsOf, type Tokens } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { createClock } from '../testing/portal/clock.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { addPeople } from '../testing/portal/crowd.ts'
import { createMigratedDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { addPasskey, addTotp } from '../testing/portal/factors.ts'
import { gatehouse, printed, startGatehouse } from '../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { publishedKeys } from '../testing/portal/published-keys.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { codeOf } from '../testing/portal/totp.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'

const CALLBACK = 'https://notes.example.test/callback'
const NEW_SECRET = 'the root secret of the new machine of 32 bytes'
const PASSPHRASE = 'carried by hand, not by mail'

const clock = createClock()
let folder: TemporaryFolder
let file: string
let port: string
let oldEnv: Record<string, string>

/** What is true of the old portal, for the new one. */
let totpKey: string
let recoveryCodes: string[]
let adasPasskey: Authenticator
let secrets: [string, string]
let notesTokens: Tokens
let endedTokens: Tokens
let pairwiseSub: unknown
let invitation: string
let exported: Record<string, unknown>

before(async () => {
  folder = await makeTemporaryFolder('moving')
  file = join(folder.path, 'portal.age')
  const old = await startTestServer({ clock })
  port = new URL(old.url).port
  oldEnv = envOf(old.database.databaseUrl, old.url, TEST_SECRET)
  await fill(old)
  exported = printed(await runCommand(['export', file, '--json'], oldEnv))
  await old.close()
})
after(async () => {
  await folder.remove()
})

function envOf(databaseUrl: string, url: string, secret: string): Record<string, string> {
  return {
    PUBLIC_URL: url,
    DATABASE_URL: databaseUrl,
    GATEHOUSE_SECRET: secret,
    GATEHOUSE_EXPORT_PASSPHRASE: PASSPHRASE,
    NODE_ENV: 'test',
  }
}

async function fill(old: TestServer): Promise<void> {
  await old.addIdentity(ada, { emailVerified: true })
  const gracesId = await old.addIdentity(grace, { roles: ['editor'], emailVerified: true })
  const first = (await old.addApp('notes', { ...notesApp, homeUri: 'https://notes.example.test/' })) as string
  const notes = new Client(old.url, 'notes', first, CALLBACK)
  const pairwise = new Client(
    old.url,
    'sealed',
    await old.addApp('sealed', { ...notesApp, isPairwise: true }),
    CALLBACK,
  )

  const browser = new Browser(old.url)
  await browser.signIn(ada)
  const totp = await addTotp(browser, clock())
  totpKey = totp.key
  recoveryCodes = totp.codes
  adasPasskey = new Authenticator(old.url)
  assert.equal((await addPasskey(browser, adasPasskey)).status, 303)
  endedTokens = await notes.connect(browser)
  await notes.revoke(endedTokens.refresh_token)
  notesTokens = await notes.connect(browser)
  pairwiseSub = claimsOf((await pairwise.connect(browser)).id_token)['sub']

  const app = await findApp(old.services, 'notes')
  assert.ok(app)
  secrets = [first, await rotateSecret(old.services, app)]
  const consent = { identityId: gracesId, clientId: 'notes', scopes: ['openid', 'email'], resources: {} }
  await putConsent(old.services.storage.pool, consent, clock())
  await runCommand(['group', 'create', 'Authors', '--role', 'author'], oldEnv)
  await runCommand(['group', 'add', 'Authors', 'ada'], oldEnv)
  const invited = await runCommand(['user', 'invite', 'new@example.test', '--json'], oldEnv)
  invitation = printed<{ link: string }>(invited).link
  await runCommand(['app', 'update', 'sealed', '--access', 'assigned', '--allow-group', 'Authors'], oldEnv)
}

/** How many rows each table has. */
async function countRows({ databaseUrl }: TestDatabase): Promise<Record<string, number>> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const counts: Record<string, number> = {}
    for (const table of MOVED_COLUMNS.keys()) {
      const { rows } = await client.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)
      counts[table] = rows[0]?.count ?? 0
    }
    return counts
  } finally {
    await client.end()
  }
}

test('a file has mode 0600, shows nothing without the passphrase, and is not replaced by mistake', async () => {
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const bytes = await readFile(file, 'latin1')
  assert.match(bytes, /^age-encryption\.org\/v1\n-> scrypt /)
  for (const secret of ['ada', 'notes', 'gatehouse_export', totpKey.replaceAll(' ', '')])
    assert.equal(bytes.includes(secret), false, secret)
  assert.deepEqual(
    [exported['identities'], exported['apps'], exported['groups'], exported['families'], exported['living_families']],
    [2, 2, 1, 3, 2],
  )
})

test('on a new machine everybody signs in with all factors, apps keep their secrets, and families end with a cause', async () => {
  const server = await startTestServer({ clock, env: { PORT: port, GATEHOUSE_SECRET: NEW_SECRET } })
  const env = envOf(server.database.databaseUrl, server.url, NEW_SECRET)
  try {
    const ownKid = server.services.keys.signer('ES256').kid
    const imported = printed(await runCommand(['import', file, '--json'], env))
    assert.deepEqual([imported['outcome'], imported['ended_families'], imported['id']], ['imported', 2, exported['id']])

    // The password and a code of the app; the time of the code that set it up is used.
    clock.advance(60)
    const browser = new Browser(server.url)
    await browser.signIn(ada)
    const coded = await browser.post('/login/second-factor', { code: codeOf(totpKey, clock()) })
    assert.equal(coded.headers.get('location'), '/dashboard')

    const withCode = new Browser(server.url)
    await withCode.signIn(ada)
    const used = await withCode.post('/login/second-factor', { code: recoveryCodes[0] as string })
    assert.equal(used.status, 303)
    assert.equal((await withCode.get('/dashboard')).status, 200)
    const again = new Browser(server.url)
    await again.signIn(ada)
    assert.equal((await again.post('/login/second-factor', { code: recoveryCodes[0] as string })).status, 401)

    const withPasskey = new Browser(server.url)
    const credential = adasPasskey.get(passkeySignInOptions(server.services))
    const signedIn = await withPasskey.post('/login/passkey', { credential })
    assert.equal(signedIn.status, 303)
    assert.equal((await withPasskey.get('/dashboard')).status, 200)

    // Both secrets of the app are valid, and users are who they were.
    for (const secret of secrets) {
      const tokens = await new Client(server.url, 'notes', secret, CALLBACK).connect(browser)
      assert.equal(claimsOf(tokens.id_token)['sub'], claimsOf(notesTokens.id_token)['sub'])
      assert.deepEqual(claimsOf(tokens.access_token)['roles'], ['author'])
    }
    const sealedApp = await findApp(server.services, 'sealed')
    assert.ok(sealedApp)
    const sealedSecret = await rotateSecret(server.services, sealedApp)
    const sealed = await new Client(server.url, 'sealed', sealedSecret, CALLBACK).connect(browser)
    assert.equal(claimsOf(sealed.id_token)['sub'], pairwiseSub)

    // Families that were living on the old machine end, and those that had ended keep their cause.
    const notes = new Client(server.url, 'notes', secrets[1], CALLBACK)
    const fam = claimsOf(notesTokens.access_token)['fam'] as string
    for (const [tokens, cause] of [
      [notesTokens, 'moved'],
      [endedTokens, 'revoked_by_app'],
    ] as const) {
      const refused = await notes.refresh(tokens.refresh_token)
      const refusal = (await refused.json()) as Record<string, unknown>
      const family = claimsOf(tokens.access_token)['fam'] as string
      assert.deepEqual([refused.status, refusal['reason'], refusal['fam']], [400, 'revoked', family])
      const { rows } = await server.services.storage.pool.query('SELECT end_cause FROM families WHERE id = $1', [
        family,
      ])
      assert.deepEqual(rows, [{ end_cause: cause }])
    }
    const dashboard = await readPage(await browser.get('/dashboard'))
    assert.match(dashboard.text, /the sign-in service moved to a new server/)

    // Application tokens of the old machine verify with the published keys, and the feed lists their families.
    await server.services.keys.reload()
    const { payload } = await jwtVerify(notesTokens.access_token, await publishedKeys(server.services), {
      currentDate: new Date(clock().getTime() - 60_000),
    })
    assert.equal(payload['fam'], fam)
    assert.equal(
      server.services.keys.published().some(({ kid }) => kid === ownKid),
      false,
    )
    const feed = claimsOf(await (await fetch(`${server.url}/oauth/revocations`)).text())
    assert.ok(fam in (feed['ended'] as Record<string, number>))
    assert.equal((await notes.introspect(notesTokens.access_token))['active'], false)

    // The link of an invitation that is under way works.
    assert.equal((await new Browser(server.url).get(invitation)).status, 200)

    const { rows: events } = await server.services.storage.pool.query(
      `SELECT kind, detail FROM audit_events WHERE kind IN ('imported', 'exported')`,
    )
    assert.deepEqual(events, [{ kind: 'imported', detail: exported['id'] }])
  } finally {
    await server.close()
  }
})

test('a file is refused with a wrong passphrase, when it was changed or cut off, and a weak passphrase makes none', async () => {
  const { database, env } = await emptyPortal(oldEnv['PUBLIC_URL'] as string)
  try {
    const bytes = await readFile(file)
    const flipped = Buffer.from(bytes)
    flipped[bytes.length - 1000] = (flipped[bytes.length - 1000] as number) ^ 1
    const files = { flipped, cut: bytes.subarray(0, -100), empty: Buffer.alloc(0), sql: Buffer.from('CREATE TABLE x;') }
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder.path, name), content)
    await runCommand(['app', 'list'], env)
    const before = await countRows(database)
    const cases: [string, RegExp, Record<string, string>][] = [
      [file, /is not the passphrase of this file/, { GATEHOUSE_EXPORT_PASSPHRASE: 'carried by hand, not by post' }],
      [join(folder.path, 'flipped'), /^the file is incomplete or damaged$/m, {}],
      [join(folder.path, 'cut'), /^the file is incomplete or damaged$/m, {}],
      [join(folder.path, 'empty'), /^the file is empty$/m, {}],
      [join(folder.path, 'sql'), /was not made by "gatehouse export"/, {}],
      [join(folder.path, 'nowhere'), /nowhere cannot be read \(ENOENT\)/, {}],
      [file, /GATEHOUSE_EXPORT_PASSPHRASE must be set/, { GATEHOUSE_EXPORT_PASSPHRASE: '' }],
      [
        file,
        /works where the portal runs/,
        { GATEHOUSE_URL: 'http://localhost:1', GATEHOUSE_CLIENT_ID: 'x', GATEHOUSE_CLIENT_SECRET: 'x' },
      ],
    ]
    for (const [name, refusal, change] of cases) {
      const { code, stderr, stdout } = await runCommand(['import', name], { ...env, ...change })
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, refusal)
    }
    assert.deepEqual(await countRows(database), before)

    const target = join(folder.path, 'new.age')
    for (const [passphrase, refusal] of [
      ['too short', /at least 12 characters/],
      ['aaaaaaaaaaaaaaaa', /too easy to guess/],
    ] as const) {
      const weak = await runCommand(['export', target], { ...env, GATEHOUSE_EXPORT_PASSPHRASE: passphrase })
      assert.equal(weak.code, 1)
      assert.match(weak.stderr, refusal)
    }
    assert.match((await runCommand(['export', file], env)).stderr, /exists already; --force replaces it/)
    assert.match((await runCommand(['export', folder.path, '--force'], env)).stderr, /is not a file/)
    assert.deepEqual(
      (await readdir(folder.path)).filter((name) => name.startsWith('new.age') || name.endsWith('.partial')),
      [],
    )
  } finally {
    await database.drop()
  }
})

test('an import that is killed goes on when it is run again, here from standard input, and is a portal of another issuer', async () => {
  const { database: source, env: sourceEnv } = await emptyPortal(oldEnv['PUBLIC_URL'] as string, TEST_SECRET)
  const { database, env } = await emptyPortal('http://other.localhost:3000')
  const client = new pg.Client({ connectionString: database.databaseUrl })
  await client.connect()
  try {
    await runCommand(['app', 'list'], sourceEnv)
    const many = new pg.Client({ connectionString: source.databaseUrl })
    await many.connect()
    await addPeople(many, 5000, clock())
    await many.end()
    const big = join(folder.path, 'big.age')
    printed(await runCommand(['export', big, '--json'], sourceEnv))

    const killed = startGatehouse(['import', big], env)
    for (let pages = 0; pages < 3;) {
      const { rows } = await client.query<{ pages: number }>('SELECT pages FROM portal_imports')
      pages = rows[0]?.pages ?? 0
    }
    await killed.kill()
    const { rows } = await client.query('SELECT finished_at AS finished FROM portal_imports')
    assert.deepEqual(rows, [{ finished: null }])

    const again = await gatehouse(['import', '-', '--json'], env, await readFile(big))
    assert.equal(printed(again)['outcome'], 'resumed')
    assert.match(again.stderr, /passkeys of localhost do not work on other\.localhost/)
    assert.deepEqual((await countRows(database))['identities'], 5000)
  } finally {
    await client.end()
    await source.drop()
    await database.drop()
  }
})

async function emptyPortal(
  url: string,
  secret = NEW_SECRET,
): Promise<{ database: TestDatabase; env: Record<string, string> }> {
  const database = await createMigratedDatabase()
  return { database, env: envOf(database.databaseUrl, url, secret) }
}
