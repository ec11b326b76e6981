import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { disableIdentity, findIdentity } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { linkFor, queuedMails } from '../../testing/mail/mails.ts'
import { ScriptedProvider } from '../../testing/network/identity-provider.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { dump } from '../../testing/portal/dump.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { addProvider } from '../../testing/portal/identity-providers.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const clock = createClock()
const google = new ScriptedProvider(clock)
const entra = new ScriptedProvider(clock)
let server: TestServer
let notes: Client
let browser: Browser
let count = 0

before(async () => {
  await Promise.all([google.start(), entra.start()])
  server = await startTestServer({ clock })
  await addProvider(server.services, google, 'google', { name: 'Google', registration: 'open' })
  await addProvider(server.services, entra, 'entra', { name: 'Entra', domains: ['Corp.test'] })
  const github = { name: 'GitHub', kind: 'github', registration: 'open', keepsTokens: true } as const
  await addProvider(server.services, google, 'github', github)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(async () => {
  await server.close()
  await Promise.all([google.close(), entra.close()])
})
beforeEach(() => {
  browser = new Browser(server.url)
})

interface Person {
  id: string
  username: string
  email: string
  password: string
}

async function newUser(): Promise<Person> {
  const username = `upstream${++count}`
  const person = { username, email: `${username}@example.test`, password: ada.password }
  return { ...person, id: await server.addIdentity(person, { emailVerified: true }) }
}

/** Goes to a provider. @returns its address */
async function leave(id: string, from = browser, fields: Record<string, string> = {}): Promise<string> {
  const response = await from.post(`/login/with/${id}`, fields)
  assert.equal(response.status, 303, (await readPage(response)).text)
  return response.headers.get('location') as string
}

/** Goes to a provider, and comes back. */
async function goWith(provider: ScriptedProvider, id: string, fields: Record<string, string> = {}, from = browser) {
  return from.get(provider.authorize(await leave(id, from, fields)))
}

async function isSignedIn(from = browser): Promise<boolean> {
  return (await from.get('/dashboard')).status === 200
}

/** A user whose account at Google is linked, in a browser that is signed in with it. */
async function linkedUser(sub: string): Promise<Person> {
  const person = await newUser()
  google.be(sub, { email: person.email, email_verified: true, sid: `${sub}-session` })
  await goWith(google, 'google')
  const response = await browser.post('/login', {
    login: person.username,
    password: person.password,
    return_to: '/login/connection',
  })
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('location'), '/dashboard')
  return person
}

test('the sign-in and registration pages offer every provider, beside the local form', async () => {
  for (const path of ['/login', '/register']) {
    const { forms } = await readPage(await browser.get(`${path}?return_to=%2Factivity`))
    const offers = forms.filter(({ action }) => action.startsWith('/login/with/'))
    assert.deepEqual(
      offers.map(({ action, buttons, fields }) => [action, buttons[0], fields]),
      [
        ['/login/with/entra', 'Continue with Entra', { return_to: '/activity' }],
        ['/login/with/github', 'Continue with GitHub', { return_to: '/activity' }],
        ['/login/with/google', 'Continue with Google', { return_to: '/activity' }],
      ],
    )
    assert.ok(forms.some(({ action }) => action === path))
  }
})

test('a new user comes with a verified address and gets an account without a password, which leads on to the app', async () => {
  google.be('new-1', { email: 'New.User@id.test', email_verified: true, name: 'Neue Person', given_name: 'Neue' })
  const login = await browser.follow(await browser.get(notes.authorizeUrl()))
  const { forms } = await readPage(login.response)
  const offer = forms.find(({ action }) => action === '/login/with/google')
  const url = await leave('google', browser, offer?.fields ?? {})
  const asked = new URL(url).searchParams
  assert.equal(asked.get('code_challenge_method'), 'S256')
  assert.ok((asked.get('nonce')?.length ?? 0) >= 43 && (asked.get('state')?.length ?? 0) >= 43)
  const { url: end } = await browser.follow(await browser.get(google.authorize(url)))
  const code = new URL(end).searchParams.get('code')
  assert.ok(end.startsWith('https://notes.example.test/callback?') && code !== null, end)
  const tokens = (await (await notes.exchange(code)).json()) as { id_token: string }
  const claims = claimsOf(tokens.id_token)
  assert.deepEqual([claims['amr'], claims['email'], claims['email_verified']], [['fed'], 'New.User@id.test', true])
  assert.equal(claims['name'], 'Neue Person')
  const { text } = await readPage(await browser.get('/activity'))
  assert.match(text, /You signed in with Google\./)
  assert.doesNotMatch(text, /You changed/)
  assert.match((await readPage(await browser.get('/settings'))).text, /New\.User@id\.test Confirmed/)
  // The same person again, in another browser.
  const other = new Browser(server.url)
  assert.equal((await goWith(google, 'google', {}, other)).headers.get('location'), '/dashboard')
})

test('users come with the claims as Keycloak, Microsoft Entra and Google write them', async () => {
  const shapes: [string, Record<string, unknown>, { username: string | RegExp; name: string | null } | null][] = [
    [
      'f3b2c1d0-5a49-4827-9605-f4e3d2c1b0a9',
      {
        preferred_username: 'keycloak.user',
        name: 'Kay Cloak',
        given_name: 'Kay',
        family_name: 'Cloak',
        email: 'kay@keycloak.test',
        email_verified: true,
        typ: 'ID',
        acr: '1',
        azp: 'gatehouse',
        session_state: '4f0b7c2e',
        sid: '4f0b7c2e',
        realm_access: { roles: ['admin', 'offline_access'] },
        resource_access: { account: { roles: ['manage-account'] } },
        groups: ['/staff'],
      },
      { username: 'keycloak.user', name: 'Kay Cloak' },
    ],
    [
      '108176814619778619437',
      {
        email: 'gee@gmail.test',
        email_verified: 'true',
        hd: 'gmail.test',
        name: 'Gee Mail',
        picture: 'https://lh3.example.test/a/x',
        at_hash: undefined,
      },
      { username: /^gee/, name: 'Gee Mail' },
    ],
    // Entra vouches for no address, so none of its users gets an account by themselves.
    [
      'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
      {
        preferred_username: 'mo@entra.test',
        email: 'mo@entra.test',
        name: 'Mo Soft',
        oid: '00000000-0000-0000-66f3-3332eca7ea81',
        tid: '9122040d-6c67-4c5b-b112-36a304b66dad',
        ver: '2.0',
      },
      null,
    ],
  ]
  for (const [sub, claims, expected] of shapes) {
    const visitor = new Browser(server.url)
    google.be(sub, claims)
    await goWith(google, 'google', {}, visitor)
    const { rows } = await server.services.storage.pool.query(
      'SELECT i.username, i.name, i.roles FROM linked_accounts l JOIN identities i ON i.id = l.identity_id WHERE l.subject = $1',
      [sub],
    )
    assert.equal(await isSignedIn(visitor), expected !== null, sub)
    if (expected === null) assert.deepEqual(rows, [])
    else {
      assert.match(rows[0].username, new RegExp(expected.username))
      // What an account may do there, it may not do here.
      assert.deepEqual([rows[0].name, rows[0].roles], [expected.name, []])
    }
  }
})

test('an address that an identity has links nothing: its user signs in once, with every factor, and is told by mail', async () => {
  const person = await newUser()
  await browser.signIn(person)
  const { key } = await addTotp(browser, clock())
  clock.advance(60)
  browser = new Browser(server.url)
  google.be('taken-1', { email: person.email.toUpperCase(), email_verified: true })
  const landed = await browser.follow(await goWith(google, 'google', { return_to: '/activity' }))
  const page = await readPage(landed.response)
  assert.match(
    page.text,
    /You have an account here already\. Sign in once with your password or a passkey to connect your Google account\./,
  )
  assert.equal(await isSignedIn(), false)
  const [form] = page.forms
  assert.deepEqual(form?.fields['return_to'], '/login/connection')
  const wrong = await browser.post('/login', { ...form?.fields, login: person.username, password: 'a wrong password' })
  assert.match((await readPage(wrong)).text, /You have an account here already/)
  const first = await browser.post('/login', { ...form?.fields, login: person.username, password: person.password })
  assert.match(first.headers.get('location') as string, /^\/login\/second-factor/)
  // Not before the second factor.
  google.be('taken-1', { email: person.email, email_verified: true })
  assert.equal(
    (await goWith(google, 'google', {}, new Browser(server.url))).headers.get('location'),
    '/login/connection',
  )
  const second = await browser.post('/login/second-factor', {
    code: codeOf(key, clock()),
    return_to: '/login/connection',
  })
  assert.equal(second.headers.get('location'), '/activity')
  const activity = await readPage(await browser.get('/activity'))
  assert.match(activity.text, /Your Google account is connected/)
  assert.match(activity.text, /Your Google account was connected\. You can sign in with it\./)
  const mails = await queuedMails(server.services, 'account-linked')
  assert.equal(mails.filter(({ identityId }) => identityId === person.id).length, 1)
  // From now on it signs in, and the second factor of this portal is asked for: what the provider did is no second factor.
  google.be('taken-1', { email: person.email, email_verified: true, amr: ['mfa', 'hwk'], acr: 'mfa' })
  const again = new Browser(server.url)
  const asked = await goWith(google, 'google', {}, again)
  assert.match(asked.headers.get('location') as string, /^\/login\/second-factor/)
  assert.equal(await isSignedIn(again), false)
  clock.advance(60)
  await again.post('/login/second-factor', { code: codeOf(key, clock()) })
  assert.equal(await isSignedIn(again), true)
  assert.match((await readPage(await again.get('/activity'))).text, /signed in with Google and your authenticator app/)
})

test('what a provider does not vouch for creates nothing, and says nothing of who has an account', async () => {
  const person = await newUser()
  const said: string[] = []
  for (const email of [person.email, 'nobody-has-this@id.test']) {
    google.be(`unverified ${email}`, { email, email_verified: false })
    const { response } = await new Browser(server.url).follow(await goWith(google, 'google'))
    const page = await readPage(await browser.get('/login/connection'))
    assert.equal(response.status, 200)
    said.push(page.text)
  }
  assert.match(said[0] as string, /Google has not confirmed your e-mail address/)
  assert.equal(said[0], said[1])
  entra.be('stranger', { email: 'stranger@corp.test', email_verified: true })
  await goWith(entra, 'entra')
  assert.match(
    (await readPage(await browser.get('/login/connection'))).text,
    /No account here is connected with your Entra account/,
  )
  // Another user than that of the address is asked first.
  await browser.post('/login', { login: person.username, password: person.password, return_to: '/login/connection' })
  const question = await readPage(await browser.get('/login/connection'))
  assert.match(question.text, new RegExp(`will sign you in as ${person.username}`))
  await browser.post('/login/connection', {})
  assert.equal((await goWith(entra, 'entra', {}, new Browser(server.url))).headers.get('location'), '/dashboard')
})

test('no answer but that of the provider, to this browser, signs in', async () => {
  await linkedUser('victim')
  const attacks: [string, () => void, (url: URL) => void][] = [
    ['nonce', () => (google.script.idToken = { nonce: 'another' }), () => {}],
    ['no nonce', () => (google.script.idToken = { nonce: undefined }), () => {}],
    ['audience', () => (google.script.idToken = { aud: 'another-app' }), () => {}],
    ['issuer of the ID token', () => (google.script.idToken = { iss: 'https://evil.test' }), () => {}],
    ['expired', () => (google.script.idToken = { exp: Math.floor(clock().getTime() / 1000) - 600 }), () => {}],
    ['no subject', () => (google.script.idToken = { sub: undefined }), () => {}],
    ['an endless subject', () => (google.script.idToken = { sub: 'x'.repeat(300) }), () => {}],
    ['a subject with NUL', () => (google.script.idToken = { sub: 'victim\0' }), () => {}],
    ['alg none', () => (google.script.alg = 'none'), () => {}],
    ['HS256 with the secret', () => (google.script.alg = 'HS256'), () => {}],
    ['mix-up: iss of another provider', () => (google.script.response = { iss: entra.issuer }), () => {}],
    ['no iss', () => {}, (url) => url.searchParams.delete('iss')],
    ['another state', () => {}, (url) => url.searchParams.set('state', 'x'.repeat(43))],
    ['no state', () => {}, (url) => url.searchParams.delete('state')],
    ['two states', () => {}, (url) => url.searchParams.append('state', 'x')],
    ['two codes', () => {}, (url) => url.searchParams.append('code', 'x')],
    ['a made-up code', () => {}, (url) => url.searchParams.set('code', 'made-up')],
    ['no code', () => {}, (url) => url.searchParams.delete('code')],
    ['a code with NUL', () => {}, (url) => url.searchParams.set('code', '\0')],
    ['the callback of another provider', () => {}, (url) => (url.pathname = '/login/with/entra/callback')],
  ]
  for (const [what, script, change] of attacks) {
    google.be('victim', { email: 'victim@id.test', email_verified: true })
    script()
    const thief = new Browser(server.url)
    const url = new URL(google.authorize(await leave('google', thief)))
    change(url)
    const answer = await thief.get(url.href)
    const page = await readPage(answer)
    assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status}`)
    assert.match(page.text, /Start again|did not work/, what)
    assert.ok(
      page.forms.some(({ action }) => action === '/login'),
      what,
    )
    assert.equal(await isSignedIn(thief), false, what)
  }
  // Lone surrogates, in percent-encoding.
  google.be('victim')
  const url = google.authorize(await leave('google'))
  assert.equal((await browser.get(`${url}&error_description=%ED%A0%80`)).status < 500, true)
})

test('an answer works in the browser that asked, once, however many bring it', async () => {
  await linkedUser('once')
  const [here, elsewhere] = [new Browser(server.url), new Browser(server.url)]
  const url = google.authorize(await leave('google', here))
  // Login CSRF: the attacker's answer in the browser of a victim, with and without an attempt of its own.
  assert.equal((await elsewhere.get(url)).status, 400)
  await leave('google', elsewhere)
  assert.equal((await elsewhere.get(url)).status, 400)
  assert.equal(await isSignedIn(elsewhere), false)
  const copies = await Promise.all(Array.from({ length: 20 }, () => here.copy()))
  const answers = await Promise.all(copies.map((each) => each.get(url)))
  assert.equal(answers.filter(({ status }) => status === 303).length, 1)
  assert.equal(answers.filter(({ status }) => status === 400).length, 19)
  assert.equal((await Promise.all(copies.map((each) => isSignedIn(each)))).filter(Boolean).length, 1)
  // Code injection: the code of another attempt fails the PKCE and the nonce of this one.
  const [mine, stolen] = [await leave('google', here), await leave('google', elsewhere)]
  const injected = new URL(google.authorize(mine))
  injected.searchParams.set('code', new URL(google.authorize(stolen)).searchParams.get('code') as string)
  assert.equal((await here.get(injected.href)).status, 403)
  // Too late.
  const late = google.authorize(await leave('google', here))
  clock.advance(901)
  assert.equal((await here.get(late)).status, 400)
})

test('a provider that is down, slow to be right, or writes too much costs one sentence, and never the local way in', async () => {
  const person = await linkedUser('down')
  const broken: [string, number, RegExp][] = [
    ['/token', 503, /Google does not answer at the moment/],
    ['/jwks', 503, /Google does not answer at the moment/],
  ]
  for (const [path, status, sentence] of broken) {
    google.be('down')
    google.script.answers[path] = (res) => void res.writeHead(500).end('<b>boom</b>')
    // Keys are read once; another portal process would have to.
    const answer = await goWith(google, 'google', {}, new Browser(server.url))
    if (path === '/jwks' && answer.status === 303) continue
    const page = await readPage(answer)
    assert.deepEqual([answer.status, sentence.test(page.text)], [status, true], path)
    assert.doesNotMatch(page.html, /boom/)
  }
  const lies: ((res: import('node:http').ServerResponse) => void)[] = [
    (res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('x'.repeat(10_000_000)),
    (res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>no JSON</p>'),
    (res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('[]'),
    (res) => void res.writeHead(302, { location: `${entra.issuer}/token` }).end(),
    (res) => void res.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"<script>"}'),
  ]
  for (const lie of lies) {
    google.be('down')
    google.script.answers['/token'] = lie
    const from = new Browser(server.url)
    const answer = await goWith(google, 'google', {}, from)
    assert.equal(answer.status, 403)
    assert.match((await readPage(answer)).text, /The sign-in with Google did not work/)
    google.script.answers = {}
    await from.signIn(person)
    assert.equal(await isSignedIn(from), true)
  }
  google.be('down')
  const denied = new URL(await leave('google'))
  const back = new URL(denied.searchParams.get('redirect_uri') as string)
  back.searchParams.set('error', 'access_denied')
  back.searchParams.set('error_description', 'Call 0900 to unlock your account')
  back.searchParams.set('state', denied.searchParams.get('state') as string)
  back.searchParams.set('iss', google.issuer)
  const page = await readPage(await browser.get(back.href))
  assert.equal(page.status, 403)
  assert.match(page.text, /Google did not sign you in/)
  assert.doesNotMatch(page.html, /0900/)
})

test('a way back that leads elsewhere is forgotten, and an unknown provider is no page', async () => {
  await linkedUser('redirected')
  for (const path of ['https://evil.test/', '//evil.test', '/\\evil.test', 'javascript:alert(1)'])
    assert.equal(
      (await goWith(google, 'google', { return_to: path }, new Browser(server.url))).headers.get('location'),
      '/dashboard',
    )
  assert.equal((await browser.post('/login/with/unknown', {})).status, 404)
  assert.equal((await browser.get('/login/with/google')).status, 404)
  assert.equal((await browser.post('/login/with/google', {}, { origin: 'https://evil.test' })).status, 403)
  const long = `/interaction/x?request=${'x'.repeat(5000)}`
  assert.equal(
    (await goWith(google, 'google', { return_to: long }, new Browser(server.url))).headers.get('location'),
    long,
  )
})

test('the domain of an address leads to its provider, with or without an account, and a password that is typed is tried here', async () => {
  for (const login of ['a.b@corp.test', 'A.B@CORP.test']) {
    const response = await browser.post('/login', { login, password: '', return_to: '/activity' })
    const url = new URL(response.headers.get('location') as string)
    assert.equal(url.origin, entra.issuer)
    assert.equal(url.searchParams.get('login_hint'), login)
  }
  const wrong = await readPage(await browser.post('/login', { login: 'a.b@corp.test', password: 'some password' }))
  assert.equal(wrong.status, 401)
  assert.deepEqual(wrong.forms[0]?.action, '/login/with/entra')
  assert.deepEqual(wrong.forms[0]?.fields, { login_hint: 'a.b@corp.test' })
  const elsewhere = await browser.post('/login', { login: 'a.b@notcorp.test', password: '' })
  assert.equal(elsewhere.status, 422)
})

test('a disabled account is answered as a sign-in that did not work', async () => {
  const person = await linkedUser('disabled')
  await disableIdentity(server.services, person.id)
  const answer = await goWith(google, 'google', {}, new Browser(server.url))
  assert.equal(answer.status, 403)
  assert.match((await readPage(answer)).text, /The sign-in with Google did not work/)
})

test('accounts are linked and unlinked in the settings, but for the only way in', async () => {
  const person = await newUser()
  await browser.signIn(person)
  const link = async (from: Browser) => {
    const response = await from.post('/settings/linked-accounts', { provider: 'google' })
    return from.get(google.authorize(response.headers.get('location') as string))
  }
  google.be('settings-1', { email: 'other@id.test' })
  const linked = await readPage((await browser.follow(await link(browser))).response)
  assert.match(linked.notice as string, /Your Google account is connected/)
  assert.match(linked.text, /other@id\.test/)
  google.be('settings-2', { email: 'second@id.test' })
  await link(browser)
  // An account at a provider is of one identity.
  const other = new Browser(server.url)
  await other.signIn(await newUser())
  assert.match(
    (await readPage((await other.follow(await link(other))).response)).notice as string,
    /connected with another account here/,
  )
  // The answer of another user's browser links nothing.
  google.be('settings-3')
  const begun = await browser.post('/settings/linked-accounts', { provider: 'google' })
  const switched = await browser.copy()
  await switched.post('/logout', {})
  await switched.get(google.authorize(begun.headers.get('location') as string))
  await browser.signIn(person)
  const { forms, html } = await readPage(await browser.get('/settings/linked-accounts'))
  const removals = forms.filter(({ action }) => action.endsWith('/removal'))
  assert.equal(removals.length, 2)
  const row = html.split('<li>').find((each) => each.includes('other@id.test'))
  const removal = /action="([^"]+\/removal)"/.exec(row as string)?.[1] as string
  const gone = await browser.follow(await browser.post(removal, {}))
  assert.match((await readPage(gone.response)).notice as string, /Your Google account is disconnected/)
  const mails = await queuedMails(server.services, 'account-unlinked')
  assert.deepEqual(
    mails.map(({ identityId, provider, email }) => [identityId, provider, email]),
    [[person.id, 'Google', 'other@id.test']],
  )
  google.be('settings-1', { email: 'other@id.test' })
  assert.equal(
    (await goWith(google, 'google', {}, new Browser(server.url))).headers.get('location'),
    '/login/connection',
  )
})

test('a user without a password proves again at the provider who they are, and keeps the only way in', async () => {
  google.be('only-1', { email: 'only.one@id.test', email_verified: true })
  await goWith(google, 'google')
  // A single sign-on at the provider is no proof.
  const asked = await browser.get('/settings/linked-accounts')
  assert.equal(asked.headers.get('location'), '/reauthentication?return_to=%2Fsettings%2Flinked-accounts')
  const page = await readPage(await browser.get('/reauthentication?return_to=%2Fsettings%2Flinked-accounts'))
  assert.ok(!page.forms.some(({ fields }) => 'password' in fields))
  const form = page.forms.find(({ action }) => action === '/login/with/google')
  assert.equal(form?.fields['again'], 'yes')
  const proofUrl = await leave('google', browser, form?.fields)
  assert.deepEqual(
    ['prompt', 'max_age'].map((name) => new URL(proofUrl).searchParams.get(name)),
    ['login', '0'],
  )
  // It does not ask, or is signed in to with another account.
  google.script.idToken = { auth_time: Math.floor(clock().getTime() / 1000) - 3600 }
  const stale = await browser.follow(await browser.get(google.authorize(proofUrl)))
  assert.match((await readPage(stale.response)).notice as string, /Google did not ask you to confirm/)
  google.be('only-2', { email: 'only.two@id.test', email_verified: true })
  const foreign = await browser.follow(await goWith(google, 'google', form?.fields))
  assert.match((await readPage(foreign.response)).notice as string, /not connected with your account/)
  google.be('only-1', { email: 'only.one@id.test', email_verified: true })
  assert.equal((await goWith(google, 'google', form?.fields)).headers.get('location'), '/settings/linked-accounts')
  const { forms } = await readPage(await browser.get('/settings/linked-accounts'))
  const removal = forms.find(({ action }) => action.endsWith('/removal'))?.action as string
  const kept = await browser.follow(await browser.post(removal, {}))
  assert.match((await readPage(kept.response)).notice as string, /could not sign in any more without this account/)
  // With a password, set by mail, it is one way of two.
  const identityId = (await identityOf('only.one@id.test')) as string
  const path = await linkFor(server.services, 'reset-password', { identityId, email: 'only.one@id.test' })
  await browser.post(path, { password: ada.password, password_confirmation: ada.password })
  await browser.post('/login', { login: 'only.one@id.test', password: ada.password })
  assert.match(
    (await readPage((await browser.follow(await browser.post(removal, {}))).response)).notice as string,
    /is disconnected/,
  )
})

async function identityOf(email: string): Promise<string | undefined> {
  const { rows } = await server.services.storage.pool.query<{ id: string }>(
    'SELECT id FROM identities WHERE email = $1',
    [email],
  )
  return rows[0]?.id
}

test('GitHub signs in by its OAuth, with the primary verified address, and its tokens are kept encrypted', async () => {
  google.be('4711', { email: 'octo@id.test', email_verified: true })
  assert.equal((await goWith(google, 'github')).headers.get('location'), '/dashboard')
  const request = google.requests.at(-1)
  assert.equal(request?.get('scope'), 'read:user user:email')
  const identity = await findIdentity(server.services, (await identityOf('octo@id.test')) as string)
  assert.deepEqual([identity?.username, identity?.name, identity?.emailVerified], ['octo', 'Octo Cat', true])
  const stored = JSON.stringify(await dump(server.services.storage.pool))
  assert.ok(stored.includes('octo@id.test') && !stored.includes('an-access-token-of-the-provider'))
  assert.doesNotMatch(server.log(), /an-access-token-of-the-provider|a-secret-of-the-provider/)
  google.be('4712', { email: 'unverified@id.test', email_verified: false })
  assert.equal(
    (await goWith(google, 'github', {}, new Browser(server.url))).headers.get('location'),
    '/login/connection',
  )
})

test('a logout at the provider ends what it opened, and nothing else', async () => {
  const person = await linkedUser('logout')
  const local = new Browser(server.url)
  await local.signIn(person)
  const open = async (sid: string) => {
    const opened = new Browser(server.url)
    google.be('logout', { sid })
    await goWith(google, 'google', {}, opened)
    assert.equal(await isSignedIn(opened), true)
    return opened
  }
  const [one, two] = [await open('one'), await open('two')]
  const tokens = await notes.connect(one)
  const send = (logoutToken: string, id = 'google') =>
    fetch(`${server.url}/login/with/${id}/backchannel-logout`, {
      method: 'POST',
      body: new URLSearchParams({ logout_token: logoutToken }),
    })
  const now = Math.floor(clock().getTime() / 1000)
  const refused: [string, Record<string, unknown>, string?][] = [
    ['issuer', { sid: 'one', iss: entra.issuer }],
    ['audience', { sid: 'one', aud: 'another' }],
    ['no event', { sid: 'one', events: {} }],
    ['a nonce', { sid: 'one', nonce: 'x' }],
    ['neither', {}],
    ['no jti', { sid: 'one', jti: undefined }],
    ['no iat', { sid: 'one', iat: undefined }],
    ['expired', { sid: 'one', iat: now - 500, exp: now - 400 }],
    ['old', { sid: 'one', iat: now - 4000 }],
    ['a sid that is no text', { sub: 'logout', sid: 5 }],
    ['an ID token', { sub: 'logout' }, 'at+jwt'],
  ]
  for (const [what, change, typ] of refused) {
    const answer = await send(await google.logoutToken(change, typ))
    assert.equal(answer.status, 400, what)
    assert.equal(((await answer.json()) as { error: string }).error, 'invalid_request')
  }
  assert.equal((await send(await entra.logoutToken({ sid: 'one', iss: google.issuer }))).status, 400)
  assert.equal((await send('x')).status, 400)
  assert.equal((await send('x'.repeat(20_000))).status, 400)
  assert.equal((await send(await google.logoutToken({ sid: 'one' }), 'entra')).status, 400)
  assert.equal((await send(await google.logoutToken({ sid: 'one' }), 'github')).status, 400)
  assert.equal(await isSignedIn(one), true)
  assert.equal((await send(await google.logoutToken({ sid: 'unknown' }))).status, 200)
  const endless = await google.logoutToken({ sid: 'unknown', exp: 1e300 })
  assert.deepEqual([(await send(endless)).status, (await send(endless)).status], [200, 400])
  const token = await google.logoutToken({ sid: 'one', sub: 'logout' })
  const answer = await send(token)
  assert.deepEqual([answer.status, answer.headers.get('cache-control')], [200, 'no-store'])
  assert.deepEqual(await Promise.all([one, two, local].map((each) => isSignedIn(each))), [false, true, true])
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 400)
  assert.equal((await send(token)).status, 400)
  assert.equal((await send(await google.logoutToken({ sub: 'logout' }))).status, 200)
  assert.deepEqual(await Promise.all([two, local].map((each) => isSignedIn(each))), [false, true])
})
