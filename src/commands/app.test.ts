import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGroup } from '../domain/identities/groups.ts'
import { makeTemporaryFolder } from '../testing/services/temporary-folder.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>'
const CALLBACK = 'https://wiki.example.test/callback'

const clock = createClock()
let server: TestServer
let browser: Browser
let wiki: Client

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

function app(...args: string[]): Promise<Finished> {
  const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  return runCommand(['app', ...args], env)
}

async function reasonOf(client: Client, refreshToken: string): Promise<unknown> {
  return ((await (await client.refresh(refreshToken)).json()) as Record<string, unknown>)['reason']
}

async function everything(): Promise<string> {
  const { rows } = await server.services.storage.pool.query('SELECT * FROM apps')
  return JSON.stringify(rows)
}

test('an app that was created signs people in at once, and its secret is shown once and kept nowhere', async () => {
  const created = await app('create', 'wiki', '--name', 'Wiki', '--redirect-uri', CALLBACK, '--json')
  const { client_id: id, client_secret: secret } = printed<Record<string, string>>(created)
  assert.equal(id, 'wiki')
  assert.match(secret as string, /^[\w-]{43}$/)
  assert.equal(created.stderr, '')

  wiki = new Client(server.url, 'wiki', secret as string, CALLBACK)
  assert.equal((await wiki.connect(browser)).token_type, 'Bearer')
  assert.equal((await everything()).includes(secret as string), false)
  const [shown, listed] = await Promise.all([app('show', 'wiki', '--json'), app('list')])
  assert.equal((shown.stdout + listed.stdout).includes(secret as string), false)
  assert.doesNotMatch(shown.stdout, /secret(?!_basic)/)
  const { name, type, state, redirect_uris: uris, audience, id_token_alg: alg } = printed(shown)
  assert.deepEqual(
    [name, type, state, uris, audience, alg],
    ['Wiki', 'confidential', 'enabled', [CALLBACK], `${server.url}/apps/wiki`, 'RS256'],
  )
  assert.match(
    listed.stdout,
    /^client_id {2}name {2}type {10}state {4}redirect_uris\nwiki +Wiki +confidential +enabled /,
  )
})

test('an app in the browser or on a device gets no secret', async () => {
  const uri = ['--redirect-uri', 'http://127.0.0.1/callback', 'com.example.desk:/callback']
  const [page, device] = await Promise.all([
    app('create', 'page', '--name', 'Page', '--redirect-uri', CALLBACK, '--public', '--json'),
    app('create', 'device', '--name', 'Device', ...uri, '--native', '--json'),
  ])
  assert.deepEqual(printed(page), { client_id: 'page', audience: `${server.url}/apps/page` })
  assert.deepEqual(printed(device), { client_id: 'device', audience: `${server.url}/apps/device` })
  assert.match((await app('rotate-secret', 'page')).stderr, /^page is a public app and has no secret\n$/)
})

test('an app may have ID tokens with its refreshes and access that goes on offline, and lose both again', async () => {
  await app('create', 'backup', '--name', 'Backup', '--redirect-uri', CALLBACK, '--refresh-id-token', '--offline')
  const settingsOf = async () => {
    const { refresh_id_token: idToken, offline } = printed(await app('show', 'backup', '--json'))
    return [idToken, offline]
  }
  assert.deepEqual(await settingsOf(), [true, true])
  await app('update', 'backup', '--name', 'Backups')
  assert.deepEqual(await settingsOf(), [true, true])
  await app('update', 'backup', '--no-refresh-id-token', '--no-offline')
  assert.deepEqual(await settingsOf(), [false, false])
  await app('update', 'backup', '--refresh-id-token', '--offline')
  assert.deepEqual(await settingsOf(), [true, true])
  const refused = await app('update', 'backup', '--scope', 'openid')
  assert.match(refused.stderr, /an app with --offline needs offline_access in its scope/)
})

const REFUSED = [
  'http://wiki.example.test/callback',
  'http://10.0.0.1/callback',
  'http://localhost.evil.test/callback',
  'https://wiki.example.test/callback#fragment',
  'https://wiki.example.test/callback#',
  'https://*.example.test/callback',
  'https://ada@wiki.example.test/callback',
  'https://ada:pw@wiki.example.test/callback',
  'https://@wiki.example.test/callback',
  'javascript:alert(1)',
  'data:text/html,x',
  'file:///etc/passwd',
  'com.example.wiki:/callback',
  '/callback',
  'wiki.example.test/callback',
  '//wiki.example.test/callback',
  'https://wiki.example.test/../callback',
  'https://wiki.example.test\\callback',
  'https://wiki.example.test/callback ',
  'https:///callback',
  'https:wiki.example.test/callback',
  '',
]

for (const option of ['--redirect-uri', '--post-logout-redirect-uri']) {
  test(`${option} takes none that could lead elsewhere, at creation and afterwards, and says why of each`, async () => {
    const before = await everything()
    const good = option === '--redirect-uri' ? [] : ['--redirect-uri', CALLBACK]
    const [created, updated] = await Promise.all([
      app('create', 'odd', '--name', 'Odd', ...good, option, ...REFUSED),
      app('update', 'wiki', option, ...REFUSED),
    ])
    for (const { code, stdout, stderr } of [created, updated]) {
      assert.equal(code, 1)
      assert.equal(stdout, '')
      const told = stderr.trimEnd().split('\n')
      assert.deepEqual(
        REFUSED.filter((uri) => !told.some((line) => line.startsWith(`redirect URI ${JSON.stringify(uri)}: `))),
        [],
      )
    }
    assert.equal(await everything(), before)
  })
}

test('whatever else is wrong with an app is said all at once', async () => {
  const words = `--public --allow-no-pkce --scope profile --id-token-alg none --rotation-grace 301 --family-idle 1`
  const settings = [...words.split(' '), '--application-token-ttl', '99999', '--audience', ' ', '--name', ' ']
  const { code, stderr } = await app('create', ' odd id', ...settings)
  assert.equal(code, 1)
  assert.equal(stderr.trimEnd().split('\n').length, 10)
  for (const fault of ['client id', 'name has', 'redirect URI', 'audience', 'openid', 'PKCE', 'ES256', '300', 'idle']) {
    assert.ok(stderr.includes(fault), `${fault} is missing in ${stderr}`)
  }
})

test('an id that is taken, or an app that is not there, is said on one line', async () => {
  const [taken, missing] = await Promise.all([
    app('create', 'wiki', '--name', 'Other', '--redirect-uri', CALLBACK),
    app('show', 'nobody', '--json'),
  ])
  assert.deepEqual(taken, { code: 1, stdout: '', stderr: 'there is an app wiki already\n' })
  assert.deepEqual(missing, { code: 1, stdout: '', stderr: 'there is no app nobody\n' })
})

test('what is changed counts from the next request, and what is not named stays', async () => {
  const uri = 'https://wiki.example.test/new'
  const changed = printed(await app('update', 'wiki', '--name', 'New wiki', '--redirect-uri', uri, CALLBACK, '--json'))
  assert.deepEqual([changed['name'], changed['redirect_uris']], ['New wiki', [uri, CALLBACK]])
  assert.equal(changed['audience'], `${server.url}/apps/wiki`)
  const moved = new Client(server.url, 'wiki', wiki.secret, uri)
  assert.equal((await moved.connect(browser)).token_type, 'Bearer')
  assert.match((await readPage(await browser.get('/dashboard'))).text, /New wiki/)
})

test('an app can listen for endings and have lifetimes of its own, until an empty word takes that away', async () => {
  const listening = {
    backchannel_logout_uri: 'https://wiki.example.test/logout',
    event_receiver_uri: 'https://wiki.example.test/events',
    family_lifetime: 'session',
    family_renewal: 'sign-in',
  }
  const options = Object.keys(listening).map((name) => `--${name.replaceAll('_', '-')}`)
  const told = async (values: string[]) => {
    const args = options.flatMap((option, index) => [option, values[index] as string])
    const changed = printed(await app('update', 'wiki', ...args, '--json'))
    return Object.fromEntries(Object.keys(listening).map((name) => [name, changed[name]]))
  }
  assert.deepEqual(await told(Object.values(listening)), listening)
  const kept = printed(await app('update', 'wiki', '--name', 'Wiki', '--json'))
  assert.equal(kept['backchannel_logout_uri'], listening.backchannel_logout_uri)
  assert.deepEqual(Object.values(await told(['', '', '', ''])), [null, null, null, null])
  const { code, stderr } = await app(
    'update',
    'wiki',
    '--family-lifetime',
    'forever',
    '--event-receiver-uri',
    '/events',
  )
  assert.equal(code, 1)
  assert.match(stderr, /^event receiver URI "\/events": is not an absolute URI\nfamily-lifetime must be session/)
})

test('an app has a home, a description, a colour and a picture, until an empty word takes each away', async (t) => {
  const folder = await makeTemporaryFolder('icons')
  t.after(() => folder.remove())
  const file = join(folder.path, 'icon.txt')
  writeFileSync(file, SVG)
  const look = { home_uri: 'https://board.example.test/', description: 'Plans for the week', colour: '#ab12cd' }
  const options = ['--home-uri', look.home_uri, '--description', ` ${look.description} `, '--colour', '#AB12CD']
  await app('create', 'board', '--name', 'Board', '--redirect-uri', CALLBACK, ...options, '--icon', file)
  const shown = printed<Record<string, string>>(await app('show', 'board', '--json'))
  assert.deepEqual([shown['home_uri'], shown['description'], shown['colour']], Object.values(look))
  const picture = await browser.get(`/app-icons/board/${shown['icon']}`)
  assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/svg+xml'])
  assert.equal(await picture.text(), SVG)

  const bare = printed(
    await app('update', 'board', '--home-uri', '', '--description', '', '--colour', '', '--icon', '', '--json'),
  )
  assert.deepEqual([bare['home_uri'], bare['description'], bare['colour'], bare['icon']], [null, null, null, null])
  assert.equal((await browser.get(`/app-icons/board/${shown['icon']}`)).status, 404)
})

test('the picture that a URL names is fetched once, at the command', async () => {
  let requests = 0
  const site = createServer((req, res) => {
    requests++
    if (req.url === '/icon') res.end(SVG)
    else if (req.url === '/page') res.setHeader('content-type', 'image/png').end('<!doctype html>')
    else if (req.url === '/large') res.end(Buffer.alloc(300_000))
    else res.writeHead(302, { location: '/icon' }).end()
  })
  await once(site.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
  try {
    const { icon } = printed<Record<string, string>>(await app('update', 'page', '--icon', `${url}/icon`, '--json'))
    assert.equal(requests, 1)
    assert.equal(await (await browser.get(`/app-icons/page/${icon}`)).text(), SVG)
    assert.equal(requests, 1)
    const refusals = await Promise.all(
      ['/page', '/large', '/elsewhere'].map(async (path) => (await app('update', 'page', '--icon', url + path)).stderr),
    )
    assert.deepEqual(refusals, [
      'an icon is a PNG, JPEG, WebP or SVG picture\n',
      `the icon ${url}/large: is longer than 262144 bytes\n`,
      `the icon ${url}/elsewhere: answered 302 Found, and redirects are not followed\n`,
    ])
    assert.equal(printed(await app('show', 'page', '--json'))['icon'], icon)
  } finally {
    site.close()
  }
})

test('a picture that cannot be had, or is none, changes nothing', async (t) => {
  const { path: folder, remove } = await makeTemporaryFolder('icons')
  t.after(() => remove())
  writeFileSync(join(folder, 'large.png'), Buffer.alloc(300_000, Buffer.from('89504e470d0a1a0a', 'hex')))
  writeFileSync(join(folder, 'empty.png'), '')
  for (const [icon, told] of [
    [join(folder, 'missing.png'), /cannot be read \(ENOENT\)/],
    [folder, /cannot be read \(EISDIR\)/],
    [join(folder, 'large.png'), /^an icon has at most 256 kB\n$/],
    [join(folder, 'empty.png'), /^an icon is a PNG, JPEG, WebP or SVG picture\n$/],
    ['https://169.254.169.254/latest', /keeps credentials/],
    ['http://', /: cannot be reached\n$/],
  ] as const) {
    const { code, stderr } = await app('update', 'page', '--name', 'Changed', '--icon', icon)
    assert.equal(code, 1)
    assert.match(stderr, told)
  }
  assert.equal(printed(await app('show', 'page', '--json'))['name'], 'Page')
})

test('an app lets in only users with the roles and groups that are named, until it is for everyone again', async () => {
  await app('create', 'crm', '--name', 'CRM', '--redirect-uri', CALLBACK)
  const { id } = await createGroup(server.services, { name: 'Field' })
  const accessAfter = async (...options: string[]) => {
    const { stderr } = await app('update', 'crm', ...options)
    assert.equal(stderr, '', options.join(' '))
    const { access, allowed_roles: roles, allowed_groups: groups } = printed(await app('show', 'crm', '--json'))
    return [access, roles, groups]
  }
  assert.deepEqual(await accessAfter('--name', 'The CRM'), ['everyone', [], []])
  assert.deepEqual(await accessAfter('--allow-role', 'sales', '--allow-role', 'board'), [
    'assigned',
    ['sales', 'board'],
    [],
  ])
  assert.deepEqual(await accessAfter('--allow-role', '', '--allow-group', 'field'), ['assigned', [], ['Field']])
  assert.deepEqual(await accessAfter('--access', 'everyone', '--allow-group', id), ['everyone', [], ['Field']])
  assert.deepEqual(await accessAfter('--access', 'assigned', '--allow-group', ''), ['assigned', [], []])
  for (const [options, said] of [
    [['--allow-group', 'Nowhere'], /there is no group Nowhere/],
    [['--access', 'nobody'], /access/],
    [['--allow-role', 'two words'], /role/],
  ] as const) {
    const refused = await app('update', 'crm', ...options)
    assert.match(refused.stderr, said)
    assert.notEqual(refused.code, 0)
  }
})

test('an app that may do without PKCE comes with a warning', async () => {
  const args = ['create', 'old', '--name', 'Old', '--redirect-uri', CALLBACK, '--allow-no-pkce', '--json']
  const { code, stdout, stderr } = await app(...args)
  assert.equal(code, 0)
  assert.equal((JSON.parse(stdout) as Record<string, string>)['client_id'], 'old')
  assert.match(stderr, /^Warning: without PKCE/)
})

test('a disabled app is over at once, and an enabled one begins anew', async () => {
  const before = await wiki.connect(browser)
  assert.equal(printed(await app('disable', 'wiki', '--json'))['state'], 'disabled')
  assert.equal(await reasonOf(wiki, before.refresh_token), 'app_disabled')
  const refused = await readPage(await browser.get(wiki.authorizeUrl()))
  assert.equal(refused.heading, 'This app is not known here')
  assert.match((await readPage(await browser.get('/dashboard'))).text, /the app was disabled\./)

  assert.equal(printed(await app('enable', 'wiki', '--json'))['state'], 'enabled')
  assert.equal((await wiki.refresh(before.refresh_token)).status, 400)
  assert.equal((await wiki.connect(browser)).token_type, 'Bearer')
})

test('a new secret works at once, and the one before for a day', async () => {
  const tokens = await wiki.connect(browser)
  const rotated = printed<Record<string, string>>(await app('rotate-secret', 'wiki', '--json'))
  const renewed = new Client(server.url, 'wiki', rotated['client_secret'] as string, CALLBACK)
  const next = (await (await wiki.refresh(tokens.refresh_token)).json()) as Tokens
  const last = (await (await renewed.refresh(next.refresh_token)).json()) as Tokens

  clock.advance(25 * 3600)
  assert.equal((await wiki.refresh(last.refresh_token)).status, 401)
  assert.equal((await renewed.refresh(last.refresh_token)).status, 200)
  assert.equal((await everything()).includes(rotated['client_secret'] as string), false)
})

test('an operator waits for as long as it takes to end what an app has', async () => {
  const { pool } = server.services.storage
  const secret = await server.addApp('busy', { ...notesApp, redirectUris: [CALLBACK] })
  const tokens = await new Client(server.url, 'busy', secret, CALLBACK).connect(browser)
  const rival = await pool.connect()
  try {
    await rival.query('BEGIN')
    await rival.query(`SELECT 1 FROM families WHERE client_id = 'busy' FOR UPDATE`)
    const disabling = app('disable', 'busy')
    const waits = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
      AND clock_timestamp() - query_start > interval '2 seconds'`
    while ((await pool.query(waits)).rowCount === 0) await sleep(50)
    await rival.query('COMMIT')
    assert.equal((await disabling).code, 0)
  } finally {
    rival.release()
  }
  assert.equal(await reasonOf(new Client(server.url, 'busy', secret, CALLBACK), tokens.refresh_token), 'app_disabled')
})
