import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { disableApp, findApp } from '../domain/apps/apps.ts'
import { answerIn, problemIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const clock = createClock()

/** The same portal for developers, and with the answers that strangers get in production. */
const servers: Record<'development' | 'production', TestServer> = {} as never
const browsers: Record<'development' | 'production', Browser> = {} as never
const notes: Record<'development' | 'production', Client> = {} as never

before(async () => {
  for (const kind of ['development', 'production'] as const) {
    // Production itself refuses http.
    const server = await startTestServer({ clock, env: { NODE_ENV: kind === 'production' ? 'test' : kind } })
    await server.addIdentity(ada)
    const secret = await server.addApp('notes', { ...notesApp, redirectUris: [`${CALLBACK}?tenant=s3cret`, CALLBACK] })
    await server.addApp('photos', photosApp)
    await server.addApp('gone', { ...notesApp, name: 'Gone' })
    const gone = await findApp(server.services, 'gone')
    assert.ok(gone)
    await disableApp(server.services, gone)
    servers[kind] = server
    notes[kind] = new Client(server.url, 'notes', secret, CALLBACK)
    browsers[kind] = new Browser(server.url)
    await browsers[kind].signIn(ada)
  }
})
after(() => Promise.all(Object.values(servers).map(async (server) => server.close())))

/** The line of the last refusal. */
function lastRefusal(server: TestServer): Record<string, unknown> {
  const lines = server.log().trim().split('\n')
  const line = lines.findLast((each) => each.includes('"msg":"refused"'))
  return JSON.parse(line ?? '{}') as Record<string, unknown>
}

const WRONG_URI = 'https://notes.example.test/kallback?token=t0ken'

test('a wrong redirect URI is logged beside those that are registered, without queries', async () => {
  for (const kind of ['development', 'production'] as const) {
    const response = await browsers[kind].get(notes[kind].authorizeUrl({ redirect_uri: WRONG_URI }))
    assert.equal(response.status, 400)
    const { clientId, refusal, requestedUri, registeredUris } = lastRefusal(servers[kind])
    assert.deepEqual([clientId, refusal], ['notes', 'invalid_redirect_uri'])
    assert.equal(requestedUri, 'https://notes.example.test/kallback')
    assert.deepEqual(registeredUris, [CALLBACK, CALLBACK])
    assert.equal(/t0ken|s3cret/.test(servers[kind].log()), false)
  }
})

test('in development the page for a wrong redirect URI shows both, and the command that registers it', async () => {
  const { text } = await readPage(
    await browsers.development.get(notes.development.authorizeUrl({ redirect_uri: WRONG_URI })),
  )
  assert.ok(text.includes(WRONG_URI), text)
  assert.ok(text.includes(`${CALLBACK}?tenant=s3cret`), text)
  const command = `npx gatehouse app update notes --redirect-uri '${CALLBACK}?tenant=s3cret' ${CALLBACK} '${WRONG_URI}'`
  assert.ok(text.includes(command), text)
})

test('in production the page for a wrong redirect URI shows its host, and nothing that is registered', async () => {
  const { text } = await readPage(
    await browsers.production.get(notes.production.authorizeUrl({ redirect_uri: WRONG_URI })),
  )
  assert.match(text, /It asked for https:\/\/notes\.example\.test\. /)
  assert.equal(/kallback|t0ken|s3cret|npx/.test(text), false)
  assert.ok(text.includes(`Reference ${String(lastRefusal(servers.production)['requestId'])}`), text)
})

for (const uri of [
  '"><script>alert(1)</script>',
  `https://evil.test/${'x'.repeat(5000)}`,
  "https://evil.test/'$(id)'",
  'https://user:pa55word@evil.test/',
  'javascript:alert(1)',
]) {
  test(`${JSON.stringify(uri.slice(0, 40))} as redirect URI stays text, and short, on the page and in the log`, async () => {
    for (const kind of ['development', 'production'] as const) {
      const response = await browsers[kind].get(notes[kind].authorizeUrl({ redirect_uri: uri }))
      const html = await response.text()
      assert.equal(response.status, 400)
      assert.equal(html.includes('<script>alert'), false)
      // The language switch leads back to the page as it was asked for.
      assert.equal(/x{400}/.test(html.replace(/<footer[^]*<\/footer>/, '')), false)
      const line = JSON.stringify(lastRefusal(servers[kind]))
      assert.equal(/x{400}|pa55word/.test(line), false, line)
      if (uri.includes('$(id)')) assert.equal(html.includes('npx'), kind === 'development')
    }
  })
}

test('an unregistered address after a sign-out is named as well', async () => {
  const path = `/oauth/logout?client_id=notes&post_logout_redirect_uri=${encodeURIComponent(WRONG_URI)}`
  const { text } = await readPage(await browsers.development.get(path, { accept: 'text/html' }))
  assert.ok(text.includes(`--post-logout-redirect-uri https://notes.example.test/ '${WRONG_URI}'`), text)
  assert.equal(lastRefusal(servers.development)['requestedUri'], 'https://notes.example.test/kallback')
})

test('a pushed request with a wrong redirect URI names it to the developer, and in production to the log', async () => {
  for (const kind of ['development', 'production'] as const) {
    const params = Object.fromEntries(new URL(notes[kind].authorizeUrl({ redirect_uri: WRONG_URI })).searchParams)
    const { status, error_description: words } = await problemIn(await notes[kind].send('/oauth/par', params))
    assert.equal(status, 400)
    assert.equal(String(words).includes(WRONG_URI), kind === 'development', words)
    assert.equal(lastRefusal(servers[kind])['requestedUri'], 'https://notes.example.test/kallback')
  }
})

for (const [id, shown, reason] of [
  ['nope', 'nope', 'app_unknown'],
  ['gone', 'gone', 'app_disabled'],
  ['x'.repeat(5000), `${'x'.repeat(300)}…`, 'app_unknown'],
  ['s'.repeat(43), '(it looks like a client secret)', 'app_unknown'],
] as const) {
  test(`a request of the app ${id.slice(0, 10)} (${id.length}), which may not have any, is named in the log`, async () => {
    for (const kind of ['development', 'production'] as const) {
      const page = await readPage(await browsers[kind].get(notes[kind].authorizeUrl({ client_id: id })))
      const line = lastRefusal(servers[kind])
      assert.deepEqual([line['clientId'], line['reason']], [shown, reason])
      if (kind === 'development') assert.ok(page.text.includes(shown), page.text)
      else assert.equal(/disabled|xxx|sss/.test(page.text), false)
    }
  })
}

const WRONG_EXCHANGES: Record<string, (client: Client, code: string, server: TestServer) => Promise<Response>> = {
  code_unknown: async (client) => client.exchange('made-up'),
  async code_expired(client, code) {
    clock.advance(61)
    return client.exchange(code)
  },
  async code_used(client, code) {
    await client.exchange(code)
    return client.exchange(code)
  },
  async code_of_another_app(client, code, { url }) {
    const photos = new Client(url, 'photos', null, client.redirectUri)
    return photos.exchange(code, { code_verifier: client.verifier })
  },
  verifier_missing: async (client, code) => client.exchange(code, { code_verifier: null }),
  verifier_wrong: async (client, code) => client.exchange(code, { code_verifier: 'x'.repeat(43) }),
  redirect_uri_mismatch: async (client, code) => client.exchange(code, { redirect_uri: WRONG_URI }),
}

test('each way to get a code wrong has its own reason in the log, and to developers, and one text in production', async () => {
  const texts = { development: new Set<string>(), production: new Set<string>() }
  for (const [reason, send] of Object.entries(WRONG_EXCHANGES)) {
    for (const kind of ['development', 'production'] as const) {
      const code = await notes[kind].code(browsers[kind])
      const response = await send(notes[kind], code, servers[kind])
      assert.equal(response.status, 400, reason)
      texts[kind].add(await response.text())
      assert.equal(lastRefusal(servers[kind])['reason'], reason)
      assert.equal(servers[kind].log().includes(code), false)
    }
  }
  assert.equal(texts.production.size, 1)
  assert.equal(texts.development.size, Object.keys(WRONG_EXCHANGES).length)
  assert.match([...texts.development].join(' '), /kallback\?token=t0ken, and the code was requested with https:/)
  for (const text of texts.development) assert.equal(JSON.parse(text).error, 'invalid_grant')
})

const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})

test('each way to get credentials wrong has its own reason in the log, and to developers, and one text in production', async () => {
  const wrong = {
    secret_wrong: basic('notes', 'wr0ng'),
    app_unknown: basic('nope', 'wr0ng'),
    app_disabled: basic('gone', 'wr0ng'),
    secret_unexpected: basic('photos', 'wr0ng'),
  }
  for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke']) {
    const texts = { development: new Set<string>(), production: new Set<string>() }
    for (const [reason, headers] of Object.entries(wrong)) {
      for (const kind of ['development', 'production'] as const) {
        const body = new URLSearchParams({ grant_type: 'authorization_code', code: 'made-up', token: 'made-up' })
        const response = await fetch(servers[kind].url + path, { method: 'POST', body, headers })
        assert.equal(response.status, 401, reason)
        texts[kind].add(await response.text())
        const line = lastRefusal(servers[kind])
        assert.equal(line['reason'], reason)
        assert.equal(servers[kind].log().includes('wr0ng'), false)
      }
    }
    assert.equal(texts.production.size, 1)
    assert.equal(texts.development.size, Object.keys(wrong).length)
  }
})

test('credentials that are swapped leave no secret in the log', async () => {
  const { secret } = notes.development
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: 'made-up' })
  await fetch(`${servers.development.url}/oauth/token`, {
    method: 'POST',
    body,
    headers: basic(String(secret), 'notes'),
  })
  await browsers.development.get(notes.development.authorizeUrl({ client_id: String(secret) }))
  assert.equal(servers.development.log().includes(String(secret)), false)
})

test('words for developers have only the characters that RFC 6749 allows', async () => {
  const odd = 'https://evil.test/"\\ü'
  const code = await notes.development.code(browsers.development)
  const { error_description: words } = await problemIn(await notes.development.exchange(code, { redirect_uri: odd }))
  assert.match(String(words), /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  const { error } = answerIn(await browsers.development.get(notes.development.authorizeUrl({ prompt: 'x' })), CALLBACK)
  assert.equal(error, 'invalid_request')
})
