// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { PublicKeyCredentialCreationOptionsJSON } from '@simplewebauthn/server'
import { deleteAccount } from '../domain/accounts/deletions.ts'
import { endIn } from '../domain/endings/endings.ts'
import { disableIdentity, revokeEverything } from '../domain/identities/identities.ts'
import { lockIdentity } from '../storage/identities.ts'
import { putConsent } from '../storage/consents.ts'
import { type Queryable, transaction } from '../storage/postgres.ts'
import { notesApp, televisionApp } from '../testing/portal/apps.ts'
import { Authenticator } from '../testing/browser/authenticator.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { dump } from '../testing/portal/dump.ts'
import { addTotp, keyOn, optionsOn } from '../testing/portal/factors.ts'
import { type HeldAnswer, HeldRequest } from '../testing/portal/held.ts'
import { waitForMail } from '../testing/mail/outbox.ts'
import { actionOf, readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { codeOf } from '../testing/portal/totp.ts'

/** Every route that changes something, from the table of contents itself, so that none is forgotten. */
const ROUTES = [
  ...readFileSync(join(import.meta.dirname, 'routes.ts'), 'utf8').matchAll(/routes\.post\(\s*(['`])([^'`]+)\1/g),
].map(([, , path = '']) => path.replace('${factors}', '/settings/second-factors'))

/** What the protocol answers; it reads these bodies itself. */
const PROTOCOL_ROUTES = ['/oauth/authorize', '/oauth/logout', '/oauth/logout/confirm']

/** They ask for everything they need in the form, so being signed in has nothing to do with them. */
const FOR_ANYBODY = new Set([
  '/login',
  '/login/passkey',
  '/login/mail',
  '/login/mail/:token',
  '/login/with/:provider',
  // Another provider has signed its token.
  '/login/with/:provider/backchannel-logout',
  // No account waits in these browsers to be linked.
  '/login/connection',
  '/login/connection/refusal',
  '/register',
  // The browser keeps the choice; the account, too, but only while it is signed in.
  '/language',
  '/forgot-password',
  '/verify-email/:token',
  '/reset-password/:token',
  '/not-me/:token',
  '/invitation/:token',
  '/first-administrator/:token',
  // They answer another question than the one this interaction asks.
  '/interaction/:uid/account',
  '/interaction/:uid/introduction',
])

const CANCELLATION = '/interaction/:uid/cancellation'

const NEW_PASSWORD = 'a difference engine of pewter'

const clock = createClock()
let server: TestServer
let notes: Client

before(async () => {
  server = await startTestServer({ clock, env: { STORE_TIMEOUT_MS: '60000' } })
  await server.addApp('tv', televisionApp)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())

/** A user signed in in two browsers; an attacker has the cookies of the laptop. */
interface Held {
  person: typeof ada
  id: string
  phone: Browser
  laptop: Browser
  laptopId: string
  /** What the laptop's cookie is when its requests are sent. */
  cookie: string
  notMe: string
  /** A request for each route, which does what it can do when its sign-in lives. */
  requests: { route: string; path: string; fields: Record<string, string> }[]
}

let people = 0

async function prepare(): Promise<Held> {
  const name = `ada-${++people}`
  const person = { ...ada, username: name, email: `${name}@example.test` }
  const id = await server.addIdentity(person)
  const phone = new Browser(server.url)
  await phone.signIn(person)
  const family = claimsOf((await notes.connect(phone)).access_token)['fam'] as string
  const laptop = new Browser(server.url)
  await laptop.signIn(person)
  const notMe = new URL((await waitForMail(server.mailFolder, person.email, 'New sign-in')).links[0] as string).pathname

  const { key, codes } = await addTotp(laptop, clock())
  await laptop.post('/settings/email', { email: `${name}-new@example.test` })
  await waitForMail(server.mailFolder, `${name}-new@example.test`, '')
  const factors = await readPage(await laptop.get('/settings/second-factors'))
  const factor = /\/settings\/second-factors\/totp\/[\w-]{36}/.exec(factors.html)?.[0] as string
  const sessions = await readPage(await laptop.get('/sessions'))
  const phoneId = actionOf(sessions, 'Sign out Firefox on Linux').split('/')[2] as string
  const device = actionOf(await readPage(await laptop.get(`/sessions/${phoneId}`)), 'Save the name').split(
    '/',
  )[2] as string
  const asked = await laptop.follow(await laptop.get(notes.authorizeUrl({ prompt: 'consent' })))
  const interaction = new URL(asked.url)
  const newKey = keyOn(await readPage(await laptop.get('/settings/second-factors/totp/new')))
  const passkeyPage = await readPage(await laptop.get('/settings/second-factors/passkey/new'))
  const authenticator = new Authenticator(server.url)
  const options = optionsOn<PublicKeyCredentialCreationOptionsJSON>(passkeyPage)
  const offer = optionsOn<PublicKeyCredentialCreationOptionsJSON>(await readPage(await laptop.get('/passkey-offer')))
  // A second step, too, is under way: the laptop proves once more that it is its owner.
  const pending = await laptop.post('/reauthentication', { password: person.password })
  assert.equal(pending.headers.get('location'), '/login/second-factor?return_to=%2Fsettings')
  const { rows } = await server.services.storage.pool.query<{ id: string }>(
    'SELECT id FROM identity_sessions WHERE identity_id = $1 AND ended_at IS NULL AND id <> $2',
    [id, phoneId],
  )

  const television = new Client(server.url, 'tv', null, '')
  const asksForDevice = await television.send('/oauth/device', { scope: 'openid' })
  const { user_code: userCode } = (await asksForDevice.json()) as { user_code: string }
  await putConsent(
    server.services.storage.pool,
    { identityId: id, clientId: 'notes', scopes: ['openid'], resources: {} },
    clock(),
  )

  const code = codeOf(key, clock(), 1)
  const fieldsOf: Record<string, Record<string, string>> = {
    '/login/second-factor': { code },
    '/logout': { everywhere: 'yes' },
    '/reauthentication': { password: person.password },
    '/interaction/:uid/second-factor': { code },
    '/device/second-factor': { code },
    '/settings/language': { locale: 'en', zoneinfo: 'Europe/Rome' },
    '/settings/profile': { name: 'Eve', phone_number: '+442079460000', locality: 'London' },
    '/settings/password': {
      current_password: person.password,
      password: NEW_PASSWORD,
      password_confirmation: NEW_PASSWORD,
    },
    '/settings/email': { email: 'eve@example.test' },
    '/settings/deletion': { username: person.username },
    '/settings/second-factors/totp': { name: 'Eve', code: codeOf(newKey, clock()) },
    '/settings/second-factors/passkey': { name: 'Eve', credential: authenticator.create(options) },
    '/settings/second-factors/recovery-codes/file': { codes: codes.join(' ') },
    '/settings/second-factors/:kind/:id': { name: 'Eve' },
    '/passkey-offer': { credential: new Authenticator(server.url).create(offer) },
    '/devices/:id/name': { name: 'Eve' },
  }
  const params: [string, string][] = [
    ['/families/:id', `/families/${family}`],
    ['/sessions/:id', `/sessions/${phoneId}`],
    ['/devices/:id', `/devices/${device}`],
    ['/settings/second-factors/:kind/:id', factor],
    [':clientId', 'notes'],
    [':uid', interaction.pathname.split('/')[2] as string],
    [':token', 'a'.repeat(48)],
  ]
  const requests: Held['requests'] = ROUTES.map((route) => ({
    route,
    path:
      params.reduce((path, [from, to]) => path.replace(from, to), route) +
      (route.startsWith('/interaction/') ? interaction.search : '') +
      (route.startsWith('/device/') ? `?user_code=${userCode}` : ''),
    // A form of which a byte can be sent, and which no route minds.
    fields: { nothing: '', ...fieldsOf[route] },
  }))
  const { search } = new URL(notes.authorizeUrl())
  requests.push(
    ...PROTOCOL_ROUTES.map((route) => ({
      route,
      path: route,
      fields:
        route === '/oauth/authorize' ? Object.fromEntries(new URLSearchParams(search)) : { logout: 'yes', xsrf: 'x' },
    })),
  )
  const cookie = await laptop.jar.getCookieString(server.url)
  return { person, id, phone, laptop, laptopId: rows[0]?.id as string, cookie, notMe, requests }
}

/** What the stores hold of what people have, once nothing is under way in the background. */
async function everything(db: Queryable = server.services.storage.pool, except: string[] = []) {
  const { pool } = server.services.storage
  const busy = `SELECT count(*)::int AS count FROM queue.job WHERE state < 'completed'`
  while ((await pool.query<{ count: number }>(busy)).rows[0]?.count !== 0) await wait(20)
  const tables = await dump(db)
  // The record of an identity cookie goes with the cookie; whether that is worth anything is looked at.
  for (const name of ['public.browser_sessions', ...except]) delete tables[name]
  return tables
}

/** Says only what has changed: the stores of a test hold a lot. */
function assertSame(now: Record<string, string[]>, before: Record<string, string[]>): void {
  const linesOf = (tables: Record<string, string[]>) =>
    new Set(Object.entries(tables).flatMap(([name, rows]) => rows.map((row) => `${name} ${row}`)))
  const [here, there] = [linesOf(now), linesOf(before)]
  assert.deepEqual(
    [...here].filter((line) => !there.has(line)),
    [],
    'stored',
  )
  assert.deepEqual(
    [...there].filter((line) => !here.has(line)),
    [],
    'gone',
  )
}

/** No user is signed in with the cookies of these answers, nor with those of the laptop. */
async function assertSignedOut({ cookie }: Held, answers: HeldAnswer[]): Promise<void> {
  const given = answers.flatMap(({ cookies }) => cookies).map((line) => line.split(';', 1)[0] as string)
  for (const each of new Set([cookie, ...given])) {
    const response = await fetch(`${server.url}/dashboard`, { redirect: 'manual', headers: { cookie: each } })
    assert.equal(response.headers.get('location'), '/login?return_to=%2Fdashboard', each)
  }
}

function assertRefused(route: string, { status, location, cookies, body }: HeldAnswer): void {
  const said = `POST ${route}: ${status} ${location} ${body.slice(0, 80)}`
  if (FOR_ANYBODY.has(route)) assert.ok(status >= 400 && status < 500, said)
  else if (route.startsWith('/oauth/')) assert.ok(status < 500, said)
  // Refusing the app needs no sign-in: it gives nothing away.
  else if (route === CANCELLATION) assert.match(location ?? '', /\/oauth\/authorize\/[^/]+\?refusal=/, said)
  else {
    assert.equal(status, 303, said)
    assert.match(location ?? '', /^\/(?:login|interaction\/[^/]+)$/, said)
  }
  const given = cookies.filter(
    (line) =>
      !/^\w+=; .*Expires=Thu, 01 Jan 1970/.test(line) && !/^(?:_?interaction|resume|notice|kept-form)/.test(line),
  )
  assert.deepEqual(given, [], said)
}

const nameOfCookie = (line: string) => line.split('=', 1)[0]

/** Every way in which the owner, or an operator, takes the laptop's sign-in away. */
const ENDINGS: [string, (held: Held) => Promise<unknown>][] = [
  ['ended from another browser', ({ phone, laptopId }) => succeed(phone.post(`/sessions/${laptopId}/revocation`, {}))],
  ['all other browsers signed out', ({ phone }) => succeed(phone.post('/sessions/revocation', {}))],
  ['signed out everywhere', ({ phone }) => succeed(phone.post('/logout', { everywhere: 'yes' }))],
  ['“this was not me”', ({ notMe }) => succeed(new Browser(server.url).post(notMe, {}))],
  [
    'a password reset',
    async ({ person }) => {
      const browser = new Browser(server.url)
      await browser.post('/forgot-password', { email: person.email })
      const mail = await waitForMail(server.mailFolder, person.email, 'Choose a new')
      const { pathname } = new URL(mail.links[0] as string)
      await succeed(browser.post(pathname, { password: NEW_PASSWORD, password_confirmation: NEW_PASSWORD }))
    },
  ],
  [
    'a new password',
    ({ phone, person }) =>
      succeed(
        phone.post('/settings/password', {
          current_password: person.password,
          password: NEW_PASSWORD,
          password_confirmation: NEW_PASSWORD,
        }),
      ),
  ],
  ['user revoke-all', ({ id }) => revokeEverything(server.services, id)],
  ['user disable', ({ id }) => disableIdentity(server.services, id)],
  ['user delete', ({ id }) => deleteAccount(server.services, id, null)],
]

async function succeed(response: Promise<Response>): Promise<void> {
  assert.equal((await response).status, 303)
}

test('the table of routes was read', () => {
  assert.ok(ROUTES.length >= 30)
  for (const route of ['/logout', '/settings/email', '/settings/second-factors/totp']) assert.ok(ROUTES.includes(route))
})

for (const [name, bringAbout] of ENDINGS) {
  test(`a form that was half sent before its sign-in was over does nothing: ${name}`, async () => {
    const held = await prepare()
    const open = await Promise.all(
      held.requests.map(async ({ route, path, fields }) => {
        const isEmpty = FOR_ANYBODY.has(route)
        return HeldRequest.open(
          server.url,
          path,
          await held.laptop.jar.getCookieString(server.url + path),
          isEmpty ? { nothing: '' } : fields,
        )
      }),
    )
    await bringAbout(held)
    const before = await everything()
    const answers = await Promise.all(open.map((each) => each.release()))
    for (const [index, { route }] of held.requests.entries()) assertRefused(route, answers[index] as HeldAnswer)
    assertSame(await everything(), before)
    await assertSignedOut(held, answers)
  })
}

/** Requests that wait in the pool of the portal for a connection have not begun yet. */
const AT_ONCE = 6

test('an act whose sign-in ends after it was looked at, and before it writes, writes nothing', async () => {
  const { pool } = server.services.storage
  let held = await prepare()
  const routes = held.requests.map(({ route }) => route).filter((route) => isAct(route))
  assert.ok(routes.length >= 17)
  for (let first = 0; first < routes.length; first += AT_ONCE) {
    if (first > 0) held = await prepare()
    const { id, laptop, laptopId } = held
    const requests = held.requests.filter(({ route }) => routes.slice(first, first + AT_ONCE).includes(route))
    const answered: string[] = []
    const [answers, before] = await transaction(pool, async (db) => {
      await lockIdentity(db, id)
      const sent = requests.map(async ({ path, fields }) => {
        const response = await laptop.post(path, fields)
        answered.push(`${path} ${response.status}`)
        return response
      })
      while ((await countWaiting(db)) + answered.length < requests.length) await wait(10)
      assert.deepEqual(answered, [], 'answered without holding the sign-in')
      const sessions = { identityId: id, id: laptopId }
      const ending = { cause: 'ended_by_person', clientInfo: null } as const
      await endIn(server.services, db, { sessions, families: 'following' }, ending, clock())
      return [sent, await everything(db, PROVED_BEFORE)] as const
    })
    for (const [index, { route }] of requests.entries()) {
      const response = (await answers[index]) as Response
      assert.equal(`${response.status} ${response.headers.get('location')}`, '303 /login', route)
    }
    assertSame(await everything(pool, PROVED_BEFORE), before)
    assert.equal((await laptop.get('/dashboard')).status, 303)
  }
})

/** What is proved (a code, a password) is used up before the transaction of what it was for. */
const PROVED_BEFORE = ['public.handshakes', 'public.counters']

/** Those that change something for a signed-in user; a repeated sign-in is tested below. */
function isAct(route: string): boolean {
  const isProof = [
    '/login/second-factor',
    '/device/second-factor',
    '/reauthentication',
    '/account-restoration',
    // To a provider, which writes nothing; and an account that there is not.
    '/settings/linked-accounts',
    '/settings/linked-accounts/:id/removal',
  ].includes(route)
  return !FOR_ANYBODY.has(route) && !/^\/(?:oauth|interaction)\//.test(route) && !isProof
}

async function countWaiting(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return rows[0]?.count ?? 0
}

test('a password that was proved once more in a session that ends meanwhile opens no other', async () => {
  const { id, laptop, laptopId, person } = await prepare()
  const { pool } = server.services.storage
  await pool.query('DELETE FROM totp_keys WHERE identity_id = $1', [id])
  const answer = await transaction(pool, async (db) => {
    await lockIdentity(db, id)
    const sent = laptop.post('/reauthentication', { password: person.password })
    while ((await countWaiting(db)) < 1) await wait(10)
    const sessions = { identityId: id, id: laptopId }
    await endIn(
      server.services,
      db,
      { sessions, families: 'following' },
      { cause: 'operator', clientInfo: null },
      clock(),
    )
    return [sent] as const
  })
  const response = await answer[0]
  assert.equal(response.headers.get('location'), '/login')
  assert.deepEqual(response.headers.getSetCookie().map(nameOfCookie), ['notice'])
  assert.equal((await laptop.get('/dashboard')).headers.get('location'), '/login?return_to=%2Fdashboard')
})

test('a second step that was half sent before everything was signed out signs no user in', async () => {
  for (const [name, bringAbout] of ENDINGS.filter(([each]) => !/another browser/.test(each))) {
    const held = await prepare()
    const thief = new Browser(server.url)
    const halfway = await thief.post('/login', { login: held.person.username, password: held.person.password })
    assert.equal(halfway.headers.get('location'), '/login/second-factor')
    const cookie = await thief.jar.getCookieString(server.url)
    const fields = held.requests.find(({ route }) => route === '/login/second-factor')?.fields ?? {}
    const request = await HeldRequest.open(server.url, '/login/second-factor', cookie, fields)
    await bringAbout(held)
    const answer = await request.release()
    assert.equal(answer.status, 401, name)
    assert.deepEqual(answer.cookies, [], name)
    await assertSignedOut({ ...held, cookie }, [answer])
  }
})

test('a deleted account is not kept by a form that was half sent before an operator signed it out', async () => {
  const { person, id } = await prepare()
  const { pool } = server.services.storage
  await pool.query('DELETE FROM totp_keys WHERE identity_id = $1', [id])
  await deleteAccount(server.services, id, null)
  const browser = new Browser(server.url)
  const asked = await browser.post('/login', { login: person.username, password: person.password })
  assert.equal(asked.headers.get('location'), '/account-restoration?return_to=%2Fdashboard')
  const cookie = await browser.jar.getCookieString(server.url)
  const request = await HeldRequest.open(server.url, '/account-restoration', cookie, { return_to: '/dashboard' })
  await revokeEverything(server.services, id)
  const answer = await request.release()
  assert.equal(answer.location, '/login?return_to=%2Fdashboard')
  assert.deepEqual(answer.cookies.map(nameOfCookie), ['notice'])
  const { rows } = await pool.query('SELECT FROM identities WHERE id = $1 AND erased_from IS NOT NULL', [id])
  assert.equal(rows.length, 1)
})

test('a reset that was half sent while a newer link was used changes nothing', async () => {
  const { person } = await prepare()
  const browser = new Browser(server.url)
  const askForLink = async (count: number) => {
    clock.advance(1)
    await browser.post('/forgot-password', { email: person.email })
    const mail = await waitForMail(server.mailFolder, person.email, 'Choose a new', count)
    return new URL(mail.links[0] as string).pathname
  }
  const thiefs = 'a hollow tree by the old canal'
  const older = await askForLink(1)
  const fields = { password: thiefs, password_confirmation: thiefs }
  const request = await HeldRequest.open(server.url, older, '', fields)
  const newer = await askForLink(2)
  await succeed(browser.post(newer, { password: NEW_PASSWORD, password_confirmation: NEW_PASSWORD }))
  assert.equal((await request.release()).status, 404)
  await assert.rejects(new Browser(server.url).signIn({ ...person, password: thiefs }))
})
