import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { missingAccess, unitedAccess } from '../domain/apps/access.ts'
import { createApi } from '../domain/apps/apis.ts'
import { changeApp, findApp } from '../domain/apps/apps.ts'
import { jsonIn, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { contactsApi } from '../testing/portal/apis.ts'
import { notesApp, photosApp, televisionApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { actionOf, type Page, readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://calendar.example.test/callback'
const clock = createClock()
let server: TestServer
let calendar: Client
let notes: Client
let browser: Browser
let person: typeof ada
let people = 0

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(grace)
  const calendarApp = {
    ...notesApp,
    name: 'Calendar',
    isThirdParty: true,
    redirectUris: [CALLBACK],
    scope: 'openid profile email roles offline_access calendar.read calendar.write',
    audience: 'https://calendar.example.test/api',
  }
  calendar = new Client(server.url, 'calendar', await server.addApp('calendar', calendarApp), CALLBACK)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())
beforeEach(async () => {
  clock.advance(60)
  person = { ...ada, username: `ada-${++people}`, email: `ada-${people}@example.test` }
  await server.addIdentity(person)
  browser = new Browser(server.url)
  await browser.signIn(person)
})

async function ask(
  change: Record<string, string> = {},
  client = calendar,
  who = browser,
): Promise<{ params: URLSearchParams; page: Page }> {
  const { url, response } = await who.follow(await who.get(client.authorizeUrl(change)))
  return { params: new URL(url).searchParams, page: await readPage(response) }
}

async function press(page: Page, button: string, who = browser): Promise<URLSearchParams> {
  const { url } = await who.follow(await who.post(actionOf(page, button), {}))
  return new URL(url).searchParams
}

/** Allows the app what it asks for, and gets its tokens. */
async function allow(change: Record<string, string> = {}) {
  const { page } = await ask(change)
  return tokensIn(await calendar.exchange((await press(page, 'Allow')).get('code') ?? ''))
}

test('a third-party app gets nothing before its user has read what it asks for and allowed it, once', async () => {
  assert.equal((await ask({ prompt: 'none' })).params.get('error'), 'consent_required')
  const { page, params } = await ask({ scope: 'openid profile email calendar.read' })
  assert.equal(params.get('code'), null)
  assert.equal(page.heading, 'Allow Calendar to use your account?')
  assert.match(page.text, new RegExp(`Calendar is not run by .+\\. Account: ${person.username}\\.`))
  assert.match(
    page.text,
    /Calendar asks for: your user name .* your e-mail address, and whether it is confirmed functions of Calendar: calendar\.read/,
  )
  assert.match(page.text, /calendar\.example\.test/)
  const answered = await press(page, 'Allow')
  assert.equal(answered.get('iss'), server.url)
  const tokens = await tokensIn(await calendar.exchange(answered.get('code') ?? ''))
  assert.equal(tokens.scope, 'openid profile email calendar.read')
  for (const scope of ['openid profile email calendar.read', 'openid email', 'openid']) {
    assert.ok((await ask({ scope })).params.get('code'), scope)
    assert.ok((await ask({ scope, prompt: 'none' })).params.get('code'), scope)
  }
})

test('an app of the organisation never asks', async () => {
  assert.ok((await ask({ scope: 'openid profile email roles' }, notes)).params.get('code'))
})

test('only what is more is asked for again, and the page says what is new', async () => {
  await allow({ scope: 'openid profile' })
  assert.equal((await ask({ scope: 'openid email', prompt: 'none' })).params.get('error'), 'consent_required')
  const { page } = await ask({ scope: 'openid profile email calendar.write' })
  assert.match(
    page.text,
    /New: Calendar now also asks for: your e-mail address, and whether it is confirmed functions of Calendar: calendar\.write You have allowed before: your user name/,
  )
  assert.ok((await press(page, 'Allow')).get('code'))
  assert.ok((await ask({ scope: 'openid profile email calendar.write', prompt: 'none' })).params.get('code'))
})

test('a claim that is asked for by name is asked for like its scope', async () => {
  await allow({ scope: 'openid profile' })
  const claims = JSON.stringify({ userinfo: { email: null } })
  const { page } = await ask({ scope: 'openid', claims })
  assert.match(page.text, /now also asks for: your e-mail address/)
  const code = (await press(page, 'Allow')).get('code') ?? ''
  const tokens = await tokensIn(await calendar.exchange(code))
  assert.equal((await jsonIn(await calendar.userinfo(tokens.access_token)))['email'], person.email)
})

test('a claim that the operator configures later is asked for, too', async () => {
  await allow({ scope: 'openid profile' })
  const app = (await findApp(server.services, 'calendar')) ?? assert.fail()
  await changeApp(server.services, app, {
    attributeClaims: { department: 'department' },
    idTokenClaims: ['department'],
  })
  const { page } = await ask({ scope: 'openid profile' })
  assert.match(page.text, /now also asks for: .*department/)
  await changeApp(server.services, app, { attributeClaims: {}, idTokenClaims: [] })
})

test('prompt=consent shows the page again, with all that the app asks for', async () => {
  await allow({ scope: 'openid profile email' })
  const { page } = await ask({ scope: 'openid profile offline_access', prompt: 'consent' })
  assert.match(page.text, /New: Calendar now also asks for: access while you are not using it/)
  const code = (await press(page, 'Allow')).get('code') ?? ''
  assert.equal((await tokensIn(await calendar.exchange(code))).scope, 'openid profile offline_access')
  const again = await ask({ scope: 'openid profile', prompt: 'consent' })
  assert.match(again.page.text, /Calendar asks for: your user name/)
  assert.equal((await press(again.page, 'Deny')).get('error'), 'access_denied')
})

test('a user who denies stores nothing, and is asked again', async () => {
  const { page } = await ask()
  const told = await press(page, 'Deny')
  assert.deepEqual([told.get('error'), told.get('iss'), told.has('code')], ['access_denied', server.url, false])
  assert.equal((await ask()).page.heading, 'Allow Calendar to use your account?')
  assert.doesNotMatch((await readPage(await browser.get('/dashboard'))).text, /Calendar/)
})

test('an answer counts for the sign-in that gave it, and for no other user', async () => {
  const { page } = await ask()
  const response = await browser.post(actionOf(page, 'Allow'), {})
  await browser.post('/logout', {})
  await browser.signIn(grace)
  const { response: last } = await browser.follow(response)
  assert.match((await readPage(last)).text, new RegExp(`Account: ${grace.username}`))
  assert.equal((await ask({ prompt: 'none' })).params.get('error'), 'consent_required')
})

test('a consent is on the dashboard, and withdrawing it ends what the app has', async () => {
  const tokens = await allow({ scope: 'openid profile calendar.read' })
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(person)
  const others = await tokensIn(await calendar.exchange(await calendar.code(elsewhere, { scope: 'openid profile' })))
  const own = await notes.connect(browser)
  const waiting = await calendar.code(browser, { scope: 'openid profile' })

  const dashboard = await readPage(await browser.get('/dashboard'))
  assert.match(dashboard.text, /You allowed Calendar: your user name .* functions of Calendar: calendar\.read/)
  assert.match(dashboard.html, /href="\/apps\/calendar\/withdrawal"/)
  const question = await readPage(await browser.get('/apps/calendar/withdrawal'))
  assert.equal(question.heading, 'Withdraw what you allowed Calendar?')
  const { url, response } = await browser.follow(await browser.post(actionOf(question, 'Withdraw'), {}))
  assert.equal(new URL(url).pathname, '/dashboard')
  const after = await readPage(response)
  assert.equal(after.notice, 'You withdrew what you had allowed the app.')
  assert.doesNotMatch(after.text, /You allowed Calendar/)

  for (const { refresh_token: token } of [tokens, others]) {
    const { error, reason } = await problemIn(await calendar.refresh(token))
    assert.deepEqual([error, reason], ['invalid_grant', 'access_withdrawn'])
  }
  assert.equal((await calendar.introspect(tokens.access_token))['active'], false)
  assert.equal((await notes.refresh(own.refresh_token)).status, 200)
  // A code from before opens nothing, by the fast path or by the library.
  assert.equal((await problemIn(await calendar.exchange(waiting))).error, 'invalid_grant')
  assert.equal((await ask({ prompt: 'none' })).params.get('error'), 'consent_required')
  assert.equal((await browser.get('/apps/calendar/withdrawal')).status, 404)
  assert.equal((await browser.post('/apps/calendar/withdrawal', {})).status, 404)

  const activity = (await readPage(await browser.get('/activity'))).text
  assert.match(activity, /You withdrew what you had allowed Calendar\./)
  assert.match(activity, /You allowed Calendar to use your account\./)
})

test('a family that the library opens needs the consent, too', async () => {
  await allow({ scope: 'openid profile offline_access', prompt: 'consent' })
  const code = (await press((await ask({ scope: 'openid offline_access', prompt: 'consent' })).page, 'Allow')).get(
    'code',
  )
  await browser.post('/apps/calendar/withdrawal', {})
  assert.equal((await problemIn(await calendar.exchange(code ?? ''))).error, 'invalid_grant')
})

test('consents are in the download of the data, and other users have their own', async () => {
  await allow({ scope: 'openid profile' })
  const download = (await jsonIn(await browser.post('/settings/export', {})))['consents'] as Record<string, unknown>[]
  assert.deepEqual(
    download.map(({ app, scopes, resources }) => ({ app, scopes, resources })),
    [{ app: 'calendar', scopes: ['openid', 'profile'], resources: {} }],
  )
  const other = new Browser(server.url)
  await other.signIn(grace)
  assert.equal((await other.get('/apps/calendar/withdrawal')).status, 404)
  assert.equal((await other.post('/apps/calendar/withdrawal', {})).status, 404)
})

test('a third-party app in the browser alone, and one on a device, ask as well', async () => {
  const redirect = 'https://photos.example.test/'
  await server.addApp('pictures', { ...photosApp, name: 'Pictures', isThirdParty: true })
  const pictures = new Client(server.url, 'pictures', null, redirect)
  const { page } = await ask({}, pictures)
  assert.equal(page.heading, 'Allow Pictures to use your account?')
  const code = (await press(page, 'Allow')).get('code') ?? ''
  await tokensIn(await pictures.exchange(code))

  await server.addApp('radio', { ...televisionApp, name: 'Radio', isThirdParty: true })
  const radio = new Client(server.url, 'radio', null, '')
  const codes = await jsonIn(await radio.send('/oauth/device', { scope: 'openid profile' }))
  const asked = await readPage(await browser.get(`/device?user_code=${String(codes['user_code'])}`))
  await browser.post(actionOf(asked, 'Allow'), {})
  assert.match((await readPage(await browser.get('/dashboard'))).text, /You allowed Radio: your user name/)
  const poll = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: String(codes['device_code']) }
  const tokens = await tokensIn(await radio.send('/oauth/token', poll))
  assert.equal(claimsOf(tokens.id_token)['preferred_username'], person.username)
  await browser.post('/apps/radio/withdrawal', {})
  assert.equal((await problemIn(await radio.refresh(tokens.refresh_token))).reason, 'access_withdrawn')
})

test('an API is asked for by its name, with its functions, by an app in a browser and by a device', async () => {
  const contacts = 'https://contacts.example.test/api'
  await createApi(server.services, contacts, contactsApi)
  const request = [{ identifier: contacts, scopes: contactsApi.scopes }]
  const mayHave = async (clientId: string) => {
    const app = (await findApp(server.services, clientId)) ?? assert.fail()
    await changeApp(server.services, app, {}, undefined, { request })
  }
  await mayHave('calendar')
  await allow({ scope: 'openid profile' })
  const reads = { scope: 'openid contacts:read', resource: contacts }
  const { page } = await ask(reads)
  assert.match(page.text, /now also asks for: Contacts, in your name: contacts:read You have allowed before/)
  const code = (await press(page, 'Allow')).get('code') ?? ''
  const tokens = await tokensIn(await calendar.exchange(code))
  const { aud, scope } = claimsOf(tokens.access_token)
  assert.deepEqual([aud, scope], [contacts, 'contacts:read'])
  assert.ok((await ask({ ...reads, prompt: 'none' })).params.get('code'))
  const writes = { ...reads, scope: 'openid contacts:write', prompt: 'none' }
  assert.equal((await ask(writes)).params.get('error'), 'consent_required')

  await server.addApp('clock', { ...televisionApp, name: 'Clock', isThirdParty: true })
  await mayHave('clock')
  const device = new Client(server.url, 'clock', null, '')
  const codes = await jsonIn(await device.send('/oauth/device', reads))
  const asked = await readPage(await browser.get(`/device?user_code=${String(codes['user_code'])}`))
  assert.match(asked.text, /Contacts, in your name: contacts:read/)
  await browser.post(actionOf(asked, 'Allow'), {})
  const poll = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: String(codes['device_code']) }
  const ofDevice = await tokensIn(await device.send('/oauth/token', poll))
  assert.equal(claimsOf(ofDevice.access_token)['aud'], contacts)
  const next = await tokensIn(await device.refresh(ofDevice.refresh_token, { resource: contacts }))
  assert.deepEqual(
    [claimsOf(next.access_token)['aud'], claimsOf(next.access_token)['scope']],
    [contacts, 'contacts:read'],
  )
})

test('what is missing is what was not allowed, API by API', () => {
  const given = { scopes: ['openid'], resources: { 'urn:a': ['read'] } }
  assert.equal(missingAccess(given, { scopes: ['openid'], resources: { 'urn:a': ['read'] } }), null)
  assert.equal(missingAccess(given, { scopes: [], resources: {} }), null)
  assert.deepEqual(missingAccess(given, { scopes: ['email'], resources: { 'urn:a': ['read', 'write'] } }), {
    scopes: ['email'],
    resources: { 'urn:a': ['write'] },
  })
  assert.deepEqual(missingAccess(given, { scopes: [], resources: { 'urn:b': [] } }), {
    scopes: [],
    resources: { 'urn:b': [] },
  })
  // Names of an object's own members are names of APIs like any other.
  assert.deepEqual(missingAccess(given, { scopes: [], resources: { constructor: ['x'] } })?.resources, {
    constructor: ['x'],
  })
  assert.deepEqual(
    unitedAccess(given, { scopes: ['email', 'openid'], resources: { 'urn:a': ['write'], 'urn:b': [] } }),
    {
      scopes: ['openid', 'email'],
      resources: { 'urn:a': ['read', 'write'], 'urn:b': [] },
    },
  )
})
