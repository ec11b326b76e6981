import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CookieJar } from 'tough-cookie'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { type Form, readPage } from '../testing/browser/page.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const OTHER_SECRET = 'the root secret of another portal of 32 bytes'
const CALLBACK = 'https://notes.example.test/callback'

for (const [kind, env] of [
  ['embedded', {}],
  ['embedded', { GATEHOUSE_SECRET: OTHER_SECRET }],
  ['postgres+redis', {}],
  ['postgres+redis', { GATEHOUSE_SECRET: OTHER_SECRET }],
] as const) {
  const secrets = 'GATEHOUSE_SECRET' in env ? 'two secrets' : 'one secret'

  describe(`two portals on two ports of one host, with ${secrets} and ${kind}`, () => {
    let a: TestServer
    let b: TestServer

    before(async () => {
      a = await startTestServer({ kind })
      b = await startTestServer({ kind, env })
      for (const server of [a, b]) {
        await server.addIdentity(ada)
        await server.addIdentity(grace)
      }
    })
    after(async () => {
      await a.close()
      await b.close()
    })

    test('signing in, failing and signing out at one leaves the sign-in at the other, in either order', async () => {
      for (const [first, second] of [
        [a, b],
        [b, a],
      ] as const) {
        const jar = new CookieJar()
        const [here, there] = [new Browser(first.url, jar), new Browser(second.url, jar)]
        await here.signIn(ada)
        assert.equal(await isSignedIn(there), false)
        assert.equal((await there.post('/login', { login: 'grace', password: 'not the right one' })).status, 401)
        assert.equal(await isSignedIn(here), true)
        for (let round = 0; round < 2; round++) {
          await there.signIn(grace)
          assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [true, true])
          await here.signIn(ada)
          assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [true, true])
          await there.post('/logout', {})
          assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [true, false])
          await there.signIn(grace)
          await here.post('/logout', {})
          assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [false, true])
          await here.signIn(ada)
          await there.post('/logout', {})
        }
        await here.post('/logout', {})
        assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [false, false])
      }
    })

    test('each knows its browser, its messages and its apps, whatever the other does', async () => {
      const jar = new CookieJar()
      const connections = await Promise.all(
        [a, b].map(async (server) => {
          const id = `notes-${new URL(server.url).port}`
          const secret = await server.addApp(id, notesApp)
          return { browser: new Browser(server.url, jar), app: new Client(server.url, id, secret, CALLBACK) }
        }),
      )
      // Both ask an app's user to sign in before either has answered.
      const forms: Form[] = []
      for (const { browser, app } of connections) {
        const { response } = await browser.follow(await browser.get(app.authorizeUrl()))
        const form = (await readPage(response)).forms.find(({ fields }) => 'password' in fields)
        forms.push(form as Form)
      }
      for (const [index, { browser }] of connections.entries()) {
        const { action, fields } = forms[index] as Form
        const answer = await browser.post(action, { ...fields, login: 'ada', password: ada.password })
        assert.match((await browser.follow(answer)).url, /^https:\/\/notes\.example\.test\/callback\?code=/)
      }
      for (const { browser, app } of connections) assert.ok(await app.code(browser, { prompt: 'none' }))
      for (const { browser, app } of connections) await app.connect(browser)

      // A browser that is known gets no second device, and its message waits for its own portal.
      for (const { browser } of connections) await browser.post('/logout', {})
      for (const { browser } of connections) {
        assert.match((await readPage(await browser.get('/login'))).notice ?? '', /You are signed out/)
      }
      const known = await Promise.all([a, b].map(countDevices))
      for (const { browser } of connections) await browser.signIn(ada)
      assert.deepEqual(await Promise.all([a, b].map(countDevices)), known)
    })

    test('a cookie from before they were kept apart is good where it was made, and stays', async () => {
      for (const mark of ['', '~1']) {
        const signedIn = new Browser(a.url)
        await signedIn.signIn(ada)
        const jar = await remark(signedIn, a.url, mark)
        const [here, there] = [new Browser(a.url, jar), new Browser(b.url, jar)]
        assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [true, false])
        await there.signIn(grace)
        assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [true, true])
        await there.post('/logout', {})
        assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [true, false])
        await there.signIn(grace)
        await here.post('/logout', {})
        assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [false, true])
        await here.signIn(ada)
        assert.deepEqual([await isSignedIn(here), await isSignedIn(there)], [true, true])
      }
    })
  })
}

describe('one portal on an http host', () => {
  let server: TestServer

  before(async () => {
    server = await startTestServer()
    await server.addIdentity(ada)
  })
  after(() => server.close())

  test('its cookies have plain names as long as no other portal uses them', async () => {
    const browser = new Browser(server.url)
    await browser.signIn(ada)
    await browser.signIn(ada)
    assert.deepEqual(await namesIn(browser, server.url), ['device', 'identity'])
    await browser.post('/logout', {})
    await browser.get('/login')
    assert.deepEqual(await namesIn(browser, server.url), ['device'])
  })

  test('cookies of other programs on that host are left as they are', async () => {
    const browser = new Browser(server.url)
    const others = ['device=of another program', 'protocol=too', 'theme=dark~1']
    for (const line of others) await browser.jar.setCookie(`${line}; Path=/`, server.url)
    await browser.signIn(ada)
    assert.equal(await isSignedIn(browser), true)
    await browser.post('/logout', {})
    await browser.get('/login')
    const cookies = (await browser.jar.getCookies(server.url)).map(({ key, value }) => `${key}=${value}`)
    assert.deepEqual(cookies.filter((each) => others.includes(each)).toSorted(), others)
    assert.equal(cookies.length, others.length + 1)
  })

  test('a sign-out takes both of its cookies away, if a browser has two', async () => {
    const browser = new Browser(server.url)
    await browser.signIn(ada)
    const other = new Browser(server.url)
    await other.jar.setCookie(`identity=s%3A${'x'.repeat(32)}.${'y'.repeat(43)}~1; Path=/`, server.url)
    await other.signIn(ada)
    const { key, value } =
      (await other.jar.getCookies(server.url)).find((each) => each.key.startsWith('identity-')) ?? {}
    await browser.jar.setCookie(`${key}=${value}; Path=/`, server.url)
    await browser.post('/logout', {})
    assert.equal(await isSignedIn(browser), false)
    assert.equal(
      (await namesIn(browser, server.url)).some((name) => name.startsWith('identity')),
      false,
    )
  })
})

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await browser.get('/dashboard')).status === 200
}

async function countDevices(server: TestServer): Promise<number> {
  const { rows } = await server.services.storage.pool.query<{ count: number }>('SELECT count(*)::int FROM devices')
  return rows[0]?.count as number
}

async function namesIn(browser: Browser, url: string): Promise<string[]> {
  return (await browser.jar.getCookies(url)).map(({ key }) => key).toSorted()
}

/** The same cookies as an earlier version set them, or the portal when it had another port. */
async function remark(browser: Browser, url: string, mark: string): Promise<CookieJar> {
  const jar = new CookieJar()
  for (const { key, value } of await browser.jar.getCookies(url)) {
    await jar.setCookie(`${key}=${value.replace(/~\d+$/, mark)}; Path=/`, url)
  }
  return jar
}
