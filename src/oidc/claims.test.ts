import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { signLogoutToken } from '../backchannel/logout-tokens.ts'
import { signTokenClaimsChange } from '../backchannel/security-events.ts'
import { addAppRole, changeAppRoles, removeAppRoleFromAll } from '../domain/apps/app-roles.ts'
import { type AppRow, type AppSettings, changeApp, findApp } from '../domain/apps/apps.ts'
import { setAttribute } from '../domain/identities/attributes.ts'
import { addMembers, changeGroup, createGroup, deleteGroup, removeMembers } from '../domain/identities/groups.ts'
import { changeRoles } from '../domain/identities/identities.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { jsonIn, tokensIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const EVERYTHING = 'openid profile email address phone roles offline_access'
const ADDRESS = { street_address: '12 St James’s Square', locality: 'London', postal_code: 'SW1Y 4JH', country: 'UK' }

const clock = createClock()
let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let wiki: Client

before(async () => {
  server = await startTestServer({ clock })
  adasId = await server.addIdentity(ada, { roles: ['staff'], emailVerified: true })
  const settings = { ...notesApp, scope: EVERYTHING }
  notes = new Client(server.url, 'notes', await server.addApp('notes', settings), CALLBACK)
  wiki = new Client(server.url, 'wiki', await server.addApp('wiki', { ...notesApp, name: 'Wiki' }), CALLBACK)
  await addAppRole(server.services, 'notes', 'editor')
  await addAppRole(server.services, 'notes', 'reviewer')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())
beforeEach(async () => {
  await change({ idTokenClaims: [], applicationTokenClaims: [], attributeClaims: {} })
  await changeAppRoles(server.services, adasId, 'notes', [])
})

async function change(settings: Partial<AppSettings>): Promise<void> {
  const app = (await findApp(server.services, 'notes')) as AppRow
  await changeApp(server.services, app, settings)
}

/** What a user would fill in. */
async function fillIn(profile: Record<string, unknown>): Promise<void> {
  const names = Object.keys(profile)
  const set = names.map((name, index) => `${name} = $${index + 2}`).join(', ')
  await server.services.storage.pool.query(`UPDATE identities SET ${set} WHERE id = $1`, [
    adasId,
    ...Object.values(profile),
  ])
}

/** Tokens of the fast path, and of the library, which alone knows claims by name. */
async function eachPath(scope = EVERYTHING): Promise<[string, Tokens][]> {
  return [
    ['fast', await notes.connect(browser, { scope })],
    ['library', await notes.connect(browser, { scope, claims: '{"userinfo":{"sub":null}}' })],
  ]
}

async function userinfo(tokens: Tokens): Promise<Record<string, unknown>> {
  return jsonIn(await notes.userinfo(tokens.access_token))
}

describe('groups', () => {
  const scope = 'openid groups'
  let groupIds: string[]

  before(async () => {
    const groups = await Promise.all(
      ['Staff', 'Büro 3'].map(async (name) => createGroup(server.services, { name, roles: [] })),
    )
    groupIds = groups.map(({ id }) => id)
  })
  beforeEach(async () => {
    await change({ scope: `${EVERYTHING} groups` })
    for (const id of groupIds) await addMembers(server.services, id, [adasId])
  })
  after(async () => {
    await change({ scope: EVERYTHING })
    for (const id of groupIds) await deleteGroup(server.services, id)
  })

  test('an app that is registered for the scope gets the names of the groups in every token, and an empty list for none', async () => {
    for (const expected of [['Büro 3', 'Staff'], []]) {
      if (expected.length === 0) for (const id of groupIds) await removeMembers(server.services, id, [adasId])
      for (const [path, tokens] of await eachPath(scope)) {
        assert.deepEqual(tokens.scope, scope, path)
        assert.deepEqual((await userinfo(tokens))['groups'], expected, path)
        assert.deepEqual(claimsOf(tokens.id_token)['groups'], expected, path)
        assert.deepEqual(claimsOf(tokens.access_token)['groups'], expected, path)
        const refreshed = await tokensIn(await notes.refresh(tokens.refresh_token, { scope }))
        assert.deepEqual(claimsOf(refreshed.access_token)['groups'], expected, path)
        assert.deepEqual(claimsOf(refreshed.id_token)['groups'], expected, path)
        const next = await tokensIn(await notes.refresh(refreshed.refresh_token))
        assert.deepEqual(claimsOf(next.access_token)['groups'], expected, path)
      }
    }
  })

  test('without the scope an app gets none, nor does one that is not registered for it', async () => {
    for (const [path, tokens] of await eachPath('openid email')) {
      assert.equal('groups' in (await userinfo(tokens)), false, path)
      assert.equal('groups' in claimsOf(tokens.id_token), false, path)
      assert.equal('groups' in claimsOf(tokens.access_token), false, path)
    }
    await change({ scope: EVERYTHING })
    const claims = JSON.stringify({ userinfo: { groups: { essential: true } }, id_token: { groups: null } })
    for (const named of [null, claims]) {
      const tokens = await wiki.connect(browser, { scope, claims: named })
      assert.equal(tokens.scope, 'openid')
      assert.equal('groups' in (await userinfo(tokens)), false)
      for (const token of [tokens.id_token, tokens.access_token]) assert.equal('groups' in claimsOf(token), false)
    }
  })

  test('an app gets them in its tokens whatever the scope when it is set up so, and they follow the memberships', async () => {
    await change({ idTokenClaims: ['groups'], applicationTokenClaims: ['groups'] })
    for (const [path, tokens] of await eachPath('openid')) {
      assert.deepEqual(claimsOf(tokens.id_token)['groups'], ['Büro 3', 'Staff'], path)
      assert.deepEqual(claimsOf(tokens.access_token)['groups'], ['Büro 3', 'Staff'], path)
      assert.equal('groups' in (await userinfo(tokens)), false, path)
      await changeGroup(server.services, groupIds[0] as string, { name: 'Crew' })
      const refreshed = await tokensIn(await notes.refresh(tokens.refresh_token))
      assert.deepEqual(claimsOf(refreshed.access_token)['groups'], ['Büro 3', 'Crew'], path)
      await changeGroup(server.services, groupIds[0] as string, { name: 'Staff' })
    }
  })
})

describe('a profile', () => {
  const profile = {
    name: 'Ada Lovelace',
    given_name: 'Ada',
    family_name: 'Lovelace',
    nickname: 'Countess',
    picture: 'https://pictures.example.test/ada.png',
    locale: 'de',
    zoneinfo: 'Europe/London',
    phone_number: '+442079460000',
    address: ADDRESS,
  }
  const nothing = Object.fromEntries(Object.keys(profile).map((name) => [name, null]))
  after(() => fillIn(nothing))

  test('what a user has not given is left out, and the name is the user name', async () => {
    await fillIn(nothing)
    for (const [path, tokens] of await eachPath()) {
      const told = await userinfo(tokens)
      assert.deepEqual(
        Object.keys(told).toSorted(),
        ['email', 'email_verified', 'name', 'preferred_username', 'roles', 'sub', 'updated_at'],
        path,
      )
      assert.equal(told['name'], 'ada')
      const { name, given_name: given } = claimsOf(tokens.id_token)
      assert.deepEqual([name, given], ['ada', undefined], path)
    }
  })

  test('what a user has given is at UserInfo and in ID tokens, for the scopes that stand for it', async () => {
    await fillIn(profile)
    for (const [path, tokens] of await eachPath()) {
      const { updated_at: updatedAt, ...told } = await userinfo(tokens)
      assert.equal(typeof updatedAt, 'number')
      const expected = {
        ...profile,
        sub: adasId,
        preferred_username: 'ada',
        email: ada.email,
        email_verified: true,
        phone_number_verified: false,
        address: { formatted: '12 St James’s Square\nSW1Y 4JH London\nUK', ...ADDRESS },
        roles: ['staff'],
      }
      assert.deepEqual(told, expected, path)
      const claims = claimsOf(tokens.id_token)
      for (const [name, value] of Object.entries(expected)) assert.deepEqual(claims[name], value, `${path} ${name}`)
      assert.doesNotMatch(
        Buffer.from(tokens.access_token.split('.')[1] as string, 'base64url').toString(),
        /Lovelace|4420/,
      )
    }
    for (const [path, tokens] of await eachPath('openid email')) {
      assert.deepEqual(Object.keys(await userinfo(tokens)).toSorted(), ['email', 'email_verified', 'sub'], path)
    }
  })

  test('an app that is not registered for a postal address or a phone number gets neither, by scope or by name', async () => {
    await fillIn(profile)
    const claims = JSON.stringify({
      userinfo: { phone_number: { essential: true }, address: null, given_name: null },
      id_token: { phone_number: null },
    })
    for (const named of [null, claims]) {
      const tokens = await wiki.connect(browser, { scope: 'openid address phone', claims: named })
      assert.equal(tokens.scope, 'openid')
      const told = await jsonIn(await wiki.userinfo(tokens.access_token))
      assert.deepEqual(Object.keys(told).toSorted(), named !== null ? ['given_name', 'sub'] : ['sub'])
      assert.equal(claimsOf(tokens.id_token)['phone_number'], undefined)
    }
  })
})

describe('claims that an app has configured', () => {
  test('are in its tokens at the code exchange and at every refresh, whatever it asks for', async () => {
    await change({
      idTokenClaims: ['email', 'roles', 'department'],
      applicationTokenClaims: ['email', 'username', 'department'],
      attributeClaims: { department: 'dept' },
      refreshIdToken: true,
    })
    await setAttribute(server.services, adasId, 'dept', 'Engines')
    for (const [path, tokens] of await eachPath('openid')) {
      const refreshed = [
        ['fast', await tokensIn(await notes.refresh(tokens.refresh_token))],
        ['library', await tokensIn(await notes.refresh(tokens.refresh_token, { scope: 'openid' }))],
      ] as const
      for (const [how, each] of [['exchange', tokens] as const, ...refreshed]) {
        const id = claimsOf(each.id_token)
        const application = claimsOf(each.access_token)
        assert.deepEqual(
          [id['email'], id['roles'], id['department']],
          [ada.email, ['staff'], 'Engines'],
          `${path} ${how}`,
        )
        assert.equal(id['username'], undefined)
        assert.deepEqual(
          [application['email'], application['username'], application['department']],
          [ada.email, 'ada', 'Engines'],
          `${path} ${how}`,
        )
        assert.equal(application['sub'], adasId)
        assert.deepEqual(await userinfo(each), { sub: adasId, department: 'Engines' })
        const told = await notes.introspect(each.access_token)
        assert.deepEqual([told['active'], told['email'], told['department']], [true, ada.email, 'Engines'])
      }
    }
    await change({ refreshIdToken: false })
  })

  test('make the tokens stale that contain them, and no others', async () => {
    await change({ applicationTokenClaims: ['department'], attributeClaims: { department: 'dept' } })
    const ofNotes = await notes.connect(browser)
    const ofWiki = await wiki.connect(browser)
    clock.advance(2)
    await setAttribute(server.services, adasId, 'unrelated', 'x')
    assert.equal((await notes.introspect(ofNotes.access_token))['active'], true)
    await setAttribute(server.services, adasId, 'dept', 'Looms')
    assert.equal((await notes.introspect(ofNotes.access_token))['active'], false)
    assert.equal((await wiki.introspect(ofWiki.access_token))['active'], true)
    const next = await tokensIn(await notes.refresh(ofNotes.refresh_token))
    assert.equal(claimsOf(next.access_token)['department'], 'Looms')
    assert.equal((await notes.introspect(next.access_token))['active'], true)
  })

  for (const claim of [
    'iss',
    'sub',
    'aud',
    'exp',
    'jti',
    'scope',
    'client_id',
    'fam',
    'acr',
    'cnf',
    'nonce',
    'nickname2',
  ])
    test(`${claim} is refused`, async () => {
      await assert.rejects(change({ idTokenClaims: [claim] }), /claim/)
      await assert.rejects(change({ applicationTokenClaims: [claim] }), /claim/)
      if (claim !== 'nickname2') await assert.rejects(change({ attributeClaims: { [claim]: 'x' } }), /protocol/)
    })

  for (const claim of ['email', 'roles', 'phone_number_verified', '__proto__', 'with space', ''])
    test(`an attribute cannot stand for ${JSON.stringify(claim)}`, async () => {
      await assert.rejects(change({ attributeClaims: Object.fromEntries([[claim, 'dept']]) }), /--claim/)
    })

  test('an attribute that an identity does not have is left out', async () => {
    await change({ idTokenClaims: ['constructor'], attributeClaims: { constructor: 'constructor' } })
    for (const [path, tokens] of await eachPath('openid')) {
      assert.equal(Object.hasOwn(claimsOf(tokens.id_token), 'constructor'), false, path)
      assert.deepEqual(await userinfo(tokens), { sub: adasId }, path)
    }
  })
})

describe('roles in one app', () => {
  test('are beside the global ones for that app, and for no other', async () => {
    await changeAppRoles(server.services, adasId, 'notes', ['editor'])
    for (const [path, tokens] of await eachPath()) {
      assert.deepEqual(claimsOf(tokens.access_token)['roles'], ['staff', 'editor'], path)
      assert.deepEqual(claimsOf(tokens.id_token)['roles'], ['staff', 'editor'], path)
      assert.deepEqual((await userinfo(tokens))['roles'], ['staff', 'editor'], path)
      const refreshed = await tokensIn(await notes.refresh(tokens.refresh_token))
      assert.deepEqual(claimsOf(refreshed.access_token)['roles'], ['staff', 'editor'], path)
    }
    const other = await wiki.connect(browser, { scope: 'openid roles' })
    assert.deepEqual(claimsOf(other.access_token)['roles'], ['staff'])
  })

  test('make the tokens of that app stale when they change, and when the role is removed', async () => {
    const { services } = server
    const ofWiki = await wiki.connect(browser)
    let tokens = await notes.connect(browser)
    for (const act of [
      async () => changeAppRoles(services, adasId, 'notes', ['editor', 'reviewer']),
      async () => removeAppRoleFromAll(services, 'notes', 'reviewer'),
    ]) {
      clock.advance(2)
      await act()
      assert.equal((await notes.introspect(tokens.access_token))['active'], false)
      tokens = await tokensIn(await notes.refresh(tokens.refresh_token))
      assert.equal((await notes.introspect(tokens.access_token))['active'], true)
    }
    assert.deepEqual(claimsOf(tokens.access_token)['roles'], ['staff', 'editor'])
    assert.equal((await wiki.introspect(ofWiki.access_token))['active'], true)
    await addAppRole(services, 'notes', 'reviewer')
  })

  test('an unknown role is refused with the known ones, and so is one that would be mistaken', async () => {
    const { services } = server
    await assert.rejects(
      changeAppRoles(services, adasId, 'notes', ['editr']),
      /no role editr; its roles are editor, reviewer/,
    )
    await assert.rejects(changeAppRoles(services, adasId, 'nowhere', []), /there is no app nowhere/)
    for (const role of ['admin', 'support', 'staff', 'with space', ''])
      await assert.rejects(addAppRole(services, 'notes', role), /role/)
    await assert.rejects(removeAppRoleFromAll(services, 'notes', 'nothing'), /no role nothing/)
    await changeRoles(services, adasId, ['staff'])
  })
})

describe('an app with pairwise subjects', () => {
  let sealed: Client
  let sibling: Client
  before(async () => {
    const settings = { ...notesApp, isPairwise: true, backchannelLogoutUri: 'https://notes.example.test/logout' }
    const far = { ...settings, redirectUris: ['https://notes.example.test:8443/other', 'https://notes.example.test/x'] }
    sealed = new Client(server.url, 'sealed', await server.addApp('sealed', settings), CALLBACK)
    const secret = await server.addApp('sibling', far)
    sibling = new Client(server.url, 'sibling', secret, 'https://notes.example.test:8443/other')
  })

  test('knows its users by another sub than other hosts, in every token and answer', async () => {
    for (const claims of [null, '{"id_token":{"email":null}}']) {
      const tokens = await sealed.connect(browser, { scope: 'openid email', claims })
      const { sub } = claimsOf(tokens.id_token)
      assert.match(sub as string, /^[\w-]{43}$/)
      assert.equal(claimsOf(tokens.access_token)['sub'], sub)
      assert.equal((await jsonIn(await sealed.userinfo(tokens.access_token)))['sub'], sub)
      const headers = { authorization: `Bearer ${tokens.access_token}` }
      const byLibrary = await fetch(`${server.url}/oauth/userinfo?unrelated=1`, { headers })
      assert.equal((await jsonIn(byLibrary))['sub'], sub)
      for (const token of [tokens.access_token, tokens.refresh_token])
        assert.equal((await sealed.introspect(token))['sub'], sub)
      for (const scope of [null, 'openid']) {
        const refreshed = await tokensIn(await sealed.refresh(tokens.refresh_token, { scope }))
        assert.equal(claimsOf(refreshed.access_token)['sub'], sub)
        if (refreshed.id_token) assert.equal(claimsOf(refreshed.id_token)['sub'], sub)
      }
      const other = await sibling.connect(browser, { scope: 'openid', claims })
      assert.equal(claimsOf(other.access_token)['sub'], sub)
      assert.equal(JSON.stringify([claimsOf(tokens.access_token), claimsOf(tokens.id_token)]).includes(adasId), false)
    }
  })

  for (const host of ['127.0.0.1', 'localhost', '[::1]'])
    test(`on loopback (${host}) is known by its host, whatever the port`, async () => {
      const subjects: unknown[] = []
      for (const port of [4001, 4002]) {
        const redirectUris = [`http://${host}:${port}/callback`, `http://${host}:${port + 10}/callback`]
        const id = `local-${subjects.length}-${host.replaceAll(/[^a-z0-9]/g, '')}`
        const secret = await server.addApp(id, { ...notesApp, isPairwise: true, redirectUris })
        const { access_token: token } = await new Client(server.url, id, secret, redirectUris[0] as string).connect(
          browser,
        )
        subjects.push(claimsOf(token)['sub'])
      }
      assert.equal(subjects[0], subjects[1])
      assert.notEqual(subjects[0], adasId)
    })

  test('names its user by that sub in hints and in the claims parameter, and by no other', async () => {
    const { id_token: hint } = await sealed.connect(browser)
    const { sub } = claimsOf(hint)
    const silent = { prompt: 'none', scope: 'openid' }
    await sealed.code(browser, { ...silent, id_token_hint: hint })
    await sealed.code(browser, { ...silent, claims: JSON.stringify({ id_token: { sub: { value: sub } } }) })
    await assert.rejects(
      sealed.code(browser, { ...silent, claims: JSON.stringify({ id_token: { sub: { value: adasId } } }) }),
      /login_required/,
    )
  })

  test('signs its user out with its ID token, and is told of the end by that sub', async () => {
    const elsewhere = new Browser(server.url)
    await elsewhere.signIn(ada)
    const { id_token: hint, access_token: token } = await sealed.connect(elsewhere)
    const page = await readPage(await elsewhere.get(`/oauth/logout?${new URLSearchParams({ id_token_hint: hint })}`))
    assert.match(page.html, /data-auto-submit/)
    const app = (await findApp(server.services, 'sealed')) as AppRow
    const { sub, fam } = claimsOf(token)
    const ended = { id: randomUUID(), identityId: adasId, familyId: fam as string, sid: null, happenedAt: clock() }
    assert.equal(claimsOf(await signLogoutToken(server.services, ended, app))['sub'], sub)
    const event = claimsOf(await signTokenClaimsChange(server.services, ended, { roles: [] }, app))
    assert.equal((event['sub_id'] as { user: { sub: string } }).user.sub, sub)
  })

  test('cannot get other subjects while users are signed in to it', async () => {
    const app = (await findApp(server.services, 'sealed')) as AppRow
    await assert.rejects(changeApp(server.services, app, { isPairwise: false }), /end its families first/)
    const moved = ['https://elsewhere.example.test/callback']
    await assert.rejects(changeApp(server.services, app, { redirectUris: moved }), /end its families first/)
    const split = [...app.redirectUris, ...moved]
    await assert.rejects(changeApp(server.services, app, { redirectUris: split }), /of one host/)
    await changeApp(server.services, app, { redirectUris: [...app.redirectUris, 'https://notes.example.test/new'] })
  })
})
