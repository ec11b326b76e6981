import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { updateApp } from '../../storage/apps.ts'
import { deskApp, notesApp, photosApp, robotService } from '../../testing/portal/apps.ts'
import { connect, familyRow, multiply } from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { findIcon, LARGEST_ICON, readIcon } from './app-icons.ts'
import { AppRefused } from './app-refused.ts'
import {
  type AppRow,
  type AppSettings,
  changeApp,
  createApp,
  disableApp,
  enableApp,
  endFamiliesOfDisabledApps,
  findApp,
  rotateSecret,
  secretMatches,
} from './apps.ts'

const DAY = 86_400
const ICON = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')

let portal: TestPortal
before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

test('a confidential app gets a secret once, and only its hash is kept', async () => {
  const clientId = someId()
  const { app, secret } = await createApp(portal, clientId, notesApp)
  assert.match(secret as string, /^[A-Za-z0-9_-]{43}$/)
  const result = await portal.storage.pool.query<{ row: string }>(
    'SELECT a::text AS row FROM apps a WHERE client_id = $1',
    [clientId],
  )
  assert.equal(result.rows[0]?.row.includes(secret as string), false)
  assert.equal(secretMatches(app, secret as string, portal.clock()), true)
  for (const wrong of ['', 'wrong', `${secret} `, (secret as string).toLowerCase(), app.secretHash as string]) {
    assert.equal(secretMatches(app, wrong, portal.clock()), false, wrong)
  }
})

test('a public app has no secret, and none matches', async () => {
  const { app, secret } = await createApp(portal, someId(), photosApp)
  assert.equal(secret, null)
  assert.equal(secretMatches(app, '', portal.clock()), false)
  await assert.rejects(rotateSecret(portal, app), AppRefused)
})

test('two apps never have one secret', async () => {
  const one = await createApp(portal, someId(), notesApp)
  const two = await createApp(portal, someId(), notesApp)
  assert.notEqual(one.secret, two.secret)
  assert.equal(secretMatches(one.app, two.secret as string, portal.clock()), false)
})

test('after a rotation the secret before is good for one more day', async () => {
  const { app, secret: first } = await createApp(portal, someId(), notesApp)
  const second = await rotateSecret(portal, app)
  const rotated = await stored(app)
  assert.notEqual(second, first)
  const matches = (secret: string | null) => secretMatches(rotated, secret as string, portal.clock())
  assert.deepEqual([matches(first), matches(second)], [true, true])
  portal.clock.advance(DAY - 1)
  assert.equal(matches(first), true)
  portal.clock.advance(1)
  assert.deepEqual([matches(first), matches(second)], [false, true])
})

test('a second rotation forgets the first secret at once', async () => {
  const { app, secret: first } = await createApp(portal, someId(), notesApp)
  const second = await rotateSecret(portal, app)
  const third = await rotateSecret(portal, await stored(app))
  const rotated = await stored(app)
  assert.deepEqual(
    [first, second, third].map((secret) => secretMatches(rotated, secret as string, portal.clock())),
    [false, true, true],
  )
})

test('an app is found with every column', async () => {
  const { app } = await createApp(portal, someId(), { ...deskApp, familyIdle: 60, rotationGrace: 0 })
  await changeApp(portal, app, { applicationTokenTtl: 120 })
  const found = await findApp(portal, app.clientId)
  const { clientId } = app
  assert.deepEqual(found, await (await portal.storage.prisma()).app.findUnique({ where: { clientId } }))
  assert.equal(found?.applicationTokenTtl, 120)
  assert.equal(await findApp(portal, 'nobody'), null)
})

test('the picture of an app is stored with it, replaced and removed', async () => {
  const [first, second] = [readIcon(ICON), readIcon(Buffer.concat([ICON, Buffer.from([0])]))]
  const { app } = await createApp(portal, someId(), notesApp, first)
  assert.equal(app.icon, first.hash)
  assert.deepEqual(await findIcon(portal, app.clientId, first.hash), first)

  const changed = await changeApp(portal, app, {}, second)
  assert.equal(changed.icon, second.hash)
  assert.equal(await findIcon(portal, app.clientId, first.hash), null)
  assert.deepEqual(await findIcon(portal, app.clientId, second.hash), second)
  assert.equal((await changeApp(portal, app, { name: 'Notes' })).icon, second.hash)

  assert.equal((await changeApp(portal, app, {}, null)).icon, null)
  assert.equal(await findIcon(portal, app.clientId, second.hash), null)
})

test('a picture is known by its content, and by nothing else', () => {
  assert.equal(readIcon(ICON).type, 'image/png')
  assert.throws(() => readIcon(Buffer.from('<!doctype html><script>1</script>')), AppRefused)
  assert.doesNotThrow(() => readIcon(Buffer.concat([ICON], LARGEST_ICON)))
  assert.throws(() => readIcon(Buffer.concat([ICON], LARGEST_ICON + 1)), { message: 'an icon has at most 256 kB' })
})

test('there is one app of each client id', async () => {
  const clientId = someId()
  const outcomes = await Promise.allSettled(
    Array.from({ length: 5 }, async () => createApp(portal, clientId, notesApp)),
  )
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
  assert.equal(refused.length, 4)
  for (const { reason } of refused) {
    assert.ok(reason instanceof AppRefused)
    assert.equal(reason.message, `there is an app ${clientId} already`)
  }
})

test('a change is checked like a new app, and one that is refused changes nothing', async () => {
  const { app } = await createApp(portal, someId(), notesApp)
  await assert.rejects(changeApp(portal, app, { redirectUris: [] }), AppRefused)
  await assert.rejects(changeApp(portal, app, { rotationGrace: 301 }), AppRefused)
  const changed = await changeApp(portal, app, { name: 'New name' })
  assert.equal(changed.name, 'New name')
  assert.deepEqual(changed.redirectUris, notesApp.redirectUris)
})

test('an app is disabled and enabled', async () => {
  const { app } = await createApp(portal, someId(), notesApp)
  assert.deepEqual((await disableApp(portal, app)).disabledAt, portal.clock())
  assert.equal((await enableApp(portal, app)).disabledAt, null)
})

test('families that an interrupted disabling left are ended later, and no others', async () => {
  const identityId = await addIdentity(portal, ada)
  const [disabled, enabled, kept] = [someId(), someId(), someId()]
  for (const id of [disabled, enabled, kept])
    await createApp(portal, id, { ...notesApp, backchannelLogoutUri: 'https://notes.example.test/logouts' })
  const [over, ...living] = [
    await connect(portal, identityId, disabled),
    await connect(portal, identityId, enabled),
    await connect(portal, identityId, kept),
  ]
  await multiply(portal, over, 299)
  for (const id of [disabled, enabled])
    await updateApp(portal.storage.pool, id, { disabledAt: portal.clock() }, portal.clock())
  await enableApp(portal, (await findApp(portal, enabled)) as AppRow)

  const counts = await Promise.all([endFamiliesOfDisabledApps(portal), endFamiliesOfDisabledApps(portal)])
  const rest = await endFamiliesOfDisabledApps(portal)
  assert.equal(counts[0] + counts[1] + rest, 300)
  assert.equal((await familyRow(portal, over)).endCause, 'app_disabled')
  for (const family of living) assert.equal((await familyRow(portal, family)).endCause, null)
  const { rows } = await portal.storage.pool.query(
    'SELECT client_id, cause, count(*)::int AS count FROM notices GROUP BY client_id, cause',
  )
  assert.deepEqual(rows, [{ client_id: disabled, cause: 'app_disabled', count: 300 }])
})

for (const clientId of ['notes', 'a', 'A-1._~z', '0', 'x'.repeat(128), 'https.example']) {
  test(`${clientId.slice(0, 20)} is a client id`, async () => {
    assert.equal((await createApp(portal, clientId, notesApp)).app.clientId, clientId)
  })
}
for (const clientId of ['', '-a', '.a', 'a b', 'a/b', 'a:b', 'ä', 'a\n', 'a\0', 'x'.repeat(129), 'https://a.test/']) {
  test(`${JSON.stringify(clientId.slice(0, 20))} is no client id`, async () => {
    await assert.rejects(createApp(portal, clientId, notesApp), /a client id has 1 to 128/)
  })
}

test('the client id of a service cannot be taken for a user', async () => {
  const uuid = randomUUID()
  for (const clientId of [uuid, uuid.toUpperCase()])
    await assert.rejects(createApp(portal, clientId, robotService), /the client id of a service is no UUID/)
  await createApp(portal, uuid, notesApp)
})

const web = (uri: string) => ({ ...notesApp, redirectUris: [uri] })
const native = (uri: string) => ({ ...deskApp, redirectUris: [uri] })
for (const [settings, why] of [
  [web('https://notes.example.test/callback'), null],
  [web('https://notes.example.test/'), null],
  [web('https://notes.example.test'), null],
  [web('https://notes.example.test:8443/callback?tenant=1&x=%20'), null],
  [web('https://notes.example.test/file.js/a..b/...'), null],
  [web('https://xn--bcher-kva.example/'), null],
  [web('https://192.0.2.1/callback'), null],
  [web('https://[2001:db8::1]/callback'), null],
  [web('http://localhost:3000/callback'), null],
  [web('http://127.0.0.1/callback'), null],
  [web('http://[::1]:8080/callback'), null],
  [web('http://app.localhost:8080/callback'), null],
  [web('http://a.b.LOCALHOST/callback'), null],
  [web("https://notes.example.test/?a=%FF&b='%2f"), null],
  [web('https://notes.example.test/?codes=1&State=2&is=3'), null],
  [native('com.example.desk:/callback'), null],
  [native('com.Example.DESK:/callback'), null],
  [native('http://app.localhost/callback'), null],
  [native('com.example.desk://callback'), null],
  [native('http://127.0.0.1/callback'), null],
  [native('https://desk.example.test/callback'), null],

  [web(''), 'is not an absolute URI'],
  [web('/callback'), 'is not an absolute URI'],
  [web('notes.example.test/callback'), 'is not an absolute URI'],
  [web('//notes.example.test/callback'), 'is not an absolute URI'],
  [web('https://'), 'is not an absolute URI'],
  [web('https://notes example.test/'), 'is not an absolute URI'],
  [web('https://notes.example.test/a b'), 'is not an absolute URI'],
  [web('https://notes.example.test/ä'), 'is not an absolute URI'],
  [web('https://nötes.example.test/'), 'is not an absolute URI'],
  [web(' https://notes.example.test/'), 'is not an absolute URI'],
  [web('https://notes.example.test/\n'), 'is not an absolute URI'],
  [web('https://notes.example.test/\0'), 'is not an absolute URI'],
  [web('https://notes.example.test:99999/'), 'is not an absolute URI'],
  [web(`https://notes.example.test/${'a'.repeat(2000)}`), 'is not an absolute URI'],
  [web('https://*.example.test/callback'), 'wildcards are not allowed'],
  [web('https://notes.example.test/*'), 'wildcards are not allowed'],
  [web('https://notes.example.test/#'), 'a fragment is not allowed'],
  [web('https://notes.example.test/callback#part'), 'a fragment is not allowed'],
  [web('https://ada@notes.example.test/'), 'a user name in it is not allowed'],
  [web('https://ada:secret@notes.example.test/'), 'a user name in it is not allowed'],
  [web('https://notes.example.test@evil.test/'), 'a user name in it is not allowed'],
  [web('https://@notes.example.test/'), 'a user name in it is not allowed'],
  [web('https://notes.example.test/../callback'), 'must be written in its plain form'],
  [web('https://notes.example.test/a/./b'), 'must be written in its plain form'],
  [web('https://notes.example.test/a/..'), 'must be written in its plain form'],
  [web('https://notes.example.test/a/..?x'), 'must be written in its plain form'],
  [web('https://notes.example.test/%2e%2E/callback'), 'must be written in its plain form'],
  [web('https://notes.example.test/.%2e/callback'), 'must be written in its plain form'],
  [web('https:\\\\notes.example.test\\callback'), 'must be written in its plain form'],
  [web('https://evil.test\\@notes.example.test/'), 'a user name in it is not allowed'],
  [web('https:notes.example.test/callback'), 'must be written in its plain form'],
  [web('https:/notes.example.test/callback'), 'must be written in its plain form'],
  [web('https:///notes.example.test/callback'), 'must be written in its plain form'],
  [web('http:localhost/callback'), 'must be written in its plain form'],
  [web('http://notes.example.test/callback'), 'http is only allowed on loopback; use https'],
  [web('http://localhost.evil.test/'), 'http is only allowed on loopback; use https'],
  [web('http://evillocalhost/'), 'http is only allowed on loopback; use https'],
  [web('http://app.localhost.evil.test/'), 'http is only allowed on loopback; use https'],
  [web('http://127.0.0.1.evil.test/'), 'http is only allowed on loopback; use https'],
  [web('http://192.168.1.1/'), 'http is only allowed on loopback; use https'],
  [web('http://0.0.0.0/'), 'http is only allowed on loopback; use https'],
  [web('com.example.notes:/callback'), 'must begin with https://'],
  [web('javascript:alert(1)'), 'must begin with https://'],
  [web('data:text/html,x'), 'must begin with https://'],
  [web('file:///etc/passwd'), 'must begin with https://'],
  [web('ftp://notes.example.test/'), 'must begin with https://'],
  [web('wss://notes.example.test/'), 'must begin with https://'],
  [native('desk:/callback'), 'a scheme of an app contains a dot, like com.example.app'],
  [native('javascript:alert(1)'), 'a scheme of an app contains a dot, like com.example.app'],
  [native('http://192.0.2.1/'), 'http is only allowed on loopback; use https'],
] as const) {
  const [uri] = settings.redirectUris as [string]
  const whose = settings.isNative ? 'a native app' : 'a web app'
  const spelled = JSON.stringify(uri.length > 80 ? `${uri.slice(0, 30)}… (${uri.length})` : uri)
  test(`${whose} ${why === null ? 'may' : 'may not'} be sent to ${spelled}`, async () => {
    if (why === null) {
      assert.deepEqual((await createApp(portal, someId(), settings)).app.redirectUris, [uri])
      return
    }
    const message = `redirect URI ${JSON.stringify(uri)}: ${why}`
    await assert.rejects(createApp(portal, someId(), settings), { message })
    const elsewhere = { ...settings, redirectUris: ['https://good.example.test/'], postLogoutRedirectUris: [uri] }
    await assert.rejects(createApp(portal, someId(), elsewhere), { message })
  })
}

for (const query of [
  'code=1',
  'state',
  'x=1&iss=https%3A%2F%2Fevil.test',
  'error=',
  'error_description=x',
  'error_uri=x',
  'response=x',
  'session_state=x',
  'id_token=x',
  'access_token=x',
  'c%6Fde=1',
  'a=b?c&state=1',
]) {
  test(`a redirect URI that brings its own ${query} is refused for a new app and at a change`, async () => {
    const redirectUris = [`https://notes.example.test/?${query}`]
    const refused = { message: /its query must not contain [a-z_]+, which answers to the app contain$/ }
    await assert.rejects(createApp(portal, someId(), { ...notesApp, redirectUris }), refused)
    const { app: old } = await createApp(portal, someId(), notesApp)
    await assert.rejects(changeApp(portal, old, { redirectUris }), refused)
    // One from before stays until its addresses are changed.
    assert.equal((await changeApp(portal, { ...old, redirectUris }, { name: 'Other' })).name, 'Other')
  })
}

const app = (isPublic: boolean, uri: string) => ({ ...(isPublic ? photosApp : notesApp), backchannelLogoutUri: uri })
for (const [settings, why] of [
  [app(false, 'https://notes.example.test/logout?tenant=1'), null],
  [app(true, 'https://photos.example.test/logout'), null],
  [app(false, 'http://notes.internal:8080/logout'), null],
  [app(false, 'http://10.0.0.1/logout'), null],
  [app(true, 'http://127.0.0.1:4001/logout'), null],
  [app(true, 'http://localhost/logout'), null],

  [app(true, 'http://10.0.0.1/logout'), 'http is not allowed for a public app; use https'],
  [app(true, 'http://localhost.evil.test/'), 'http is not allowed for a public app; use https'],
  [{ ...deskApp, backchannelLogoutUri: 'com.example.desk:/logout' }, 'must begin with https://'],
  [app(false, 'ftp://notes.example.test/'), 'must begin with https://'],
  [app(false, 'file:///etc/passwd'), 'must begin with https://'],
  [app(false, '/logout'), 'is not an absolute URI'],
  [app(false, ''), 'is not an absolute URI'],
  [app(false, 'https://notes.example.test/\n'), 'is not an absolute URI'],
  [app(false, `https://notes.example.test/${'a'.repeat(2000)}`), 'is not an absolute URI'],
  [app(false, 'https://notes.example.test/#'), 'a fragment is not allowed'],
  [app(false, 'https://ada:secret@notes.example.test/'), 'a user name in it is not allowed'],
  [app(false, 'https://notes.example.test@evil.test/'), 'a user name in it is not allowed'],
  [app(false, 'https://notes.example.test/%2e%2e/logout'), 'must be written in its plain form'],
  [app(false, 'https:notes.example.test/logout'), 'must be written in its plain form'],
] as const) {
  const { backchannelLogoutUri: uri, isPublic } = settings
  const whose = isPublic ? 'a public app' : 'a confidential app'
  test(`${whose} ${why === null ? 'may' : 'may not'} listen at ${JSON.stringify(uri.slice(0, 60))}`, async () => {
    const events = { ...settings, backchannelLogoutUri: null, eventReceiverUri: uri }
    if (why === null) {
      const [logouts, both] = [settings, { ...events, backchannelLogoutUri: uri }]
      assert.equal((await createApp(portal, someId(), logouts)).app.backchannelLogoutUri, uri)
      assert.equal((await createApp(portal, someId(), both)).app.eventReceiverUri, uri)
      return
    }
    const message = `back-channel logout URI ${JSON.stringify(uri)}: ${why}`
    await assert.rejects(createApp(portal, someId(), settings), { message })
    await assert.rejects(createApp(portal, someId(), events), {
      message: message.replace('back-channel logout', 'event receiver'),
    })
  })
}

const ILLEGIBLE = 'a name and a description have visible characters, and no bidirectional control characters'

for (const [change, fault] of [
  [{ name: '' }, 'a name has 1 to 100 characters'],
  [{ name: '  ' }, 'a name has 1 to 100 characters'],
  [{ name: 'x'.repeat(101) }, 'a name has 1 to 100 characters'],
  [{ name: 'No\ntes' }, 'a name has 1 to 100 characters'],
  [{ name: 'No\u202Eset' }, ILLEGIBLE],
  [{ name: '\u200B' }, ILLEGIBLE],
  [{ description: '\u2066Notes' }, ILLEGIBLE],
  [{ redirectUris: [] }, 'an app needs at least one redirect URI'],
  [{ audience: '' }, 'an audience has 1 to 255 visible ASCII characters'],
  [{ audience: 'two words' }, 'an audience has 1 to 255 visible ASCII characters'],
  [{ audience: 'ä' }, 'an audience has 1 to 255 visible ASCII characters'],
  [{ audience: 'x'.repeat(256) }, 'an audience has 1 to 255 visible ASCII characters'],
  [{ scope: 'openid  email' }, 'a scope is a list of words, separated by single spaces'],
  [{ scope: ' openid' }, 'a scope is a list of words, separated by single spaces'],
  [{ scope: 'openid "quoted"' }, 'a scope is a list of words, separated by single spaces'],
  [{ scope: 'openid\\' }, 'a scope is a list of words, separated by single spaces'],
  [{ scope: 'email' }, 'the scope must contain openid'],
  [{ scope: 'openid.read' }, 'the scope must contain openid'],
  [{ isPublic: true, allowNoPkce: true }, 'a public app cannot do without PKCE (RFC 9700 §2.1.1)'],
  [{ idTokenAlg: 'HS512' }, 'ID tokens are signed with one of ES256, RS256, EdDSA, HS256'],
  [{ idTokenAlg: 'none' }, 'ID tokens are signed with one of ES256, RS256, EdDSA, HS256'],
  [{ applicationTokenAlg: 'none' }, 'application tokens for the app itself are signed with ES256 or HS256'],
  [{ isPublic: true, authMethod: 'none', idTokenAlg: 'HS256' }, 'a public app cannot keep the key of HS256'],
  [{ applicationTokenTtl: 9 }, 'application-token-ttl must be between 10 and 3600 seconds'],
  [{ applicationTokenTtl: 3601 }, 'application-token-ttl must be between 10 and 3600 seconds'],
  [{ applicationTokenTtl: 10.5 }, 'application-token-ttl must be between 10 and 3600 seconds'],
  [{ applicationTokenTtl: Number.NaN }, 'application-token-ttl must be between 10 and 3600 seconds'],
  [{ familyIdle: 0 }, 'family-idle must be between 10 and 315360000 seconds'],
  [{ familyIdle: -1 }, 'family-idle must be between 10 and 315360000 seconds'],
  [{ familyMax: 315_360_001 }, 'family-max must be between 10 and 315360000 seconds'],
  [{ rotationGrace: -1 }, 'rotation-grace must be between 0 and 300 seconds'],
  [{ rotationGrace: 301 }, 'rotation-grace must be between 0 and 300 seconds'],
  [{ rotationGraceProven: -1 }, 'rotation-grace-proven must be between 0 and 7776000 seconds'],
  [{ rotationGraceProven: 7_776_001 }, 'rotation-grace-proven must be between 0 and 7776000 seconds'],
  [{ familyLifetime: 'forever' }, 'family-lifetime must be session or browser or offline'],
  [{ familyLifetime: '' }, 'family-lifetime must be session or browser or offline'],
  [{ familyRenewal: 'always' }, 'family-renewal must be never or sign-in'],
  [{ homeUri: '' }, 'home URI "": is not an absolute URI'],
  [{ homeUri: '/notes' }, 'home URI "/notes": is not an absolute URI'],
  [{ homeUri: 'javascript:alert(1)' }, 'home URI "javascript:alert(1)": must begin with https://'],
  [{ homeUri: 'com.example.desk:/' }, 'home URI "com.example.desk:/": must begin with https://'],
  [
    { homeUri: 'http://notes.example.test/' },
    'home URI "http://notes.example.test/": http is only allowed on loopback; use https',
  ],
  [{ homeUri: 'https://ada@notes.test/' }, 'home URI "https://ada@notes.test/": a user name in it is not allowed'],
  [{ homeUri: 'https:notes.test' }, 'home URI "https:notes.test": must be written in its plain form'],
  [{ homeUri: 'https://notes.test/#ä' }, 'home URI "https://notes.test/#ä": is not an absolute URI'],
  [{ description: '' }, 'a description has 1 to 200 characters, in one line'],
  [{ description: ' ' }, 'a description has 1 to 200 characters, in one line'],
  [{ description: 'x'.repeat(201) }, 'a description has 1 to 200 characters, in one line'],
  [{ description: 'one\ntwo' }, 'a description has 1 to 200 characters, in one line'],
  [{ colour: 'red' }, 'a colour is written as #rrggbb'],
  [{ colour: '#fff' }, 'a colour is written as #rrggbb'],
  [{ colour: '#12345g' }, 'a colour is written as #rrggbb'],
  [{ colour: '#123456;' }, 'a colour is written as #rrggbb'],
] satisfies [Partial<AppSettings>, string][]) {
  test(`an app with ${JSON.stringify(change).slice(0, 60)} is refused`, async () => {
    await assert.rejects(createApp(portal, someId(), { ...notesApp, ...change }), (error: Error) => {
      assert.ok(error instanceof AppRefused)
      assert.ok(error.message.split('\n').includes(fault), error.message)
      return true
    })
  })
}

for (const change of [
  { applicationTokenTtl: 10, familyIdle: 10, familyMax: 10, rotationGrace: 0, rotationGraceProven: 0 },
  {
    applicationTokenTtl: 3600,
    familyIdle: 315_360_000,
    familyMax: 315_360_000,
    rotationGrace: 300,
    rotationGraceProven: 7_776_000,
  },
  { name: 'x'.repeat(100), audience: 'x'.repeat(255), scope: 'openid notes:read https://api.example.test/write' },
  { allowNoPkce: true, idTokenAlg: 'RS256' },
  { familyLifetime: 'session', familyRenewal: 'sign-in' },
  { familyLifetime: 'offline', familyRenewal: 'never' },
  { homeUri: 'https://notes.example.test/', description: '📝'.repeat(200), colour: '#aB12cd' },
  { homeUri: 'http://127.0.0.1:4001/?from=portal' },
  { homeUri: 'https://notes.example.test/#/all' },
] satisfies Partial<AppSettings>[]) {
  test(`an app with ${JSON.stringify(change).slice(0, 60)} is taken`, async () => {
    const { app } = await createApp(portal, someId(), { ...notesApp, ...change })
    assert.deepEqual(await findApp(portal, app.clientId), app)
  })
}

test('all faults of an app come at once, one a line', async () => {
  const settings = { ...notesApp, name: '', scope: 'email', redirectUris: ['ftp://a.test/', 'https://b.test/#'] }
  await assert.rejects(createApp(portal, '-', settings), (error: Error) => {
    assert.equal(error.message.split('\n').length, 5, error.message)
    return true
  })
})

function someId(): string {
  return `app-${randomBytes(6).toString('hex')}`
}

async function stored({ clientId }: AppRow): Promise<AppRow> {
  return (await findApp(portal, clientId)) as AppRow
}
