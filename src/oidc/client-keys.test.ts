import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { exportJWK } from 'jose'
import { Client } from '../testing/browser/client.ts'
import { assertionOf, type ClientKey, makeClientKey } from '../testing/browser/client-key.ts'
import { type KeyServer, startKeyServer } from '../testing/network/key-server.ts'
import { problemIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { createRunningClock } from '../testing/portal/clock.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const clock = createRunningClock()
let server: TestServer
let key: ClientKey
let next: ClientKey
let keys: KeyServer
let count = 0

before(async () => {
  server = await startTestServer({ clock })
  key = await makeClientKey()
  next = await makeClientKey()
  keys = await startKeyServer()
})
after(async () => {
  await keys.close()
  await server.close()
})

/** An app whose keys nothing has fetched yet. */
async function addKeyed(target = server, uri = `${keys.uri}?${++count}`): Promise<Client> {
  const id = `keyed-${count}`
  await target.addApp(id, { ...notesApp, audience: id, authMethod: 'private_key_jwt', jwksUri: uri })
  return new Client(target.url, id, null, CALLBACK)
}

/** The status of a request that authenticates with this key. */
async function ask(client: Client, own: ClientKey = key, header: Record<string, unknown> = {}): Promise<number> {
  const issuer = client.authorizeUrl().replace(/\/oauth.*/, '')
  const fields = await assertionOf(own, client.id, issuer, { header })
  const response = await client.send('/oauth/introspect', { token: 'x', ...fields })
  if (response.status !== 200) assert.equal((await problemIn(response)).error, 'invalid_client')
  return response.status
}

test('keys are fetched once for many requests, also for many at once, and never for one that shows none', async () => {
  keys.publish(key.jwk)
  const app = await addKeyed()
  const asked = keys.asked
  await app.send('/oauth/introspect', { token: 'x' })
  await fetch(app.authorizeUrl(), { redirect: 'manual' })
  assert.equal(keys.asked, asked)
  const statuses = await Promise.all(Array.from({ length: 10 }, () => ask(app)))
  assert.deepEqual(new Set(statuses), new Set([200]))
  assert.equal(keys.asked, asked + 1)
})

test('a new key works at once, and unknown ones make the portal ask at most twice a minute', async () => {
  keys.publish(key.jwk)
  const app = await addKeyed()
  assert.equal(await ask(app), 200)
  const asked = keys.asked
  assert.equal(await ask(app, next), 401)
  assert.equal(keys.asked, asked)

  clock.advance(31)
  keys.publish(next.jwk)
  assert.equal(await ask(app, next), 200)
  assert.equal(await ask(app, key), 401, 'the key before is withdrawn')
  for (let round = 0; round < 20; round++) await ask(app, await makeClientKey())
  assert.equal(keys.asked, asked + 1)
})

test('a withdrawn key is refused within five minutes, although nothing else makes the portal ask', async () => {
  keys.publish(key.jwk, next.jwk)
  const app = await addKeyed()
  assert.equal(await ask(app), 200)
  keys.publish(next.jwk)
  assert.equal(await ask(app), 200)
  clock.advance(301)
  assert.equal(await ask(app), 401)
  assert.equal(await ask(app, next), 200)
})

test('keys without ids are found, also after a rotation', async () => {
  const nameless = ({ jwk }: ClientKey) => ({ ...jwk, kid: undefined })
  keys.publish(nameless(key))
  const app = await addKeyed()
  assert.equal(await ask(app, key, { kid: undefined }), 200)
  keys.publish(nameless(next))
  clock.advance(31)
  assert.equal(await ask(app, next, { kid: undefined }), 200)
})

test('while the server of the keys is away the known ones hold for an hour', async () => {
  keys.publish(key.jwk)
  const app = await addKeyed()
  assert.equal(await ask(app), 200)
  keys.answer = (res) => void res.writeHead(503).end()
  clock.advance(1800)
  assert.equal(await ask(app), 200)
  clock.advance(1801)
  assert.equal(await ask(app), 401)
  keys.publish(key.jwk)
  clock.advance(31)
  assert.equal(await ask(app), 200)
})

test('keys of kinds that the portal does not know are no reason to refuse the others', async () => {
  keys.publish(
    { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AAAA', kid: 'future' },
    { kty: 'new', kid: 'x' },
    'no key',
    key.jwk,
  )
  assert.equal(await ask(await addKeyed()), 200)
})

const jsonOf = (value: unknown) => (res: Parameters<KeyServer['answer']>[0]) => void res.end(JSON.stringify(value))
const elsewhere = 'http://127.0.0.1:1/jwks.json'

for (const [what, answerWith] of [
  ['redirects', async () => (res) => void res.writeHead(302, { Location: `${keys.uri}?moved` }).end()],
  ['redirects elsewhere', async () => (res) => void res.writeHead(307, { Location: elsewhere }).end()],
  [
    'answers with 10 MB',
    async () => (res) => void res.end(' '.repeat(10_000_000) + JSON.stringify({ keys: [key.jwk] })),
  ],
  ['never ends', async () => (res) => void res.write('{"keys":[')],
  ['never answers', async () => () => {}],
  ['hangs up', async () => (res) => void res.destroy()],
  ['answers with 404', async () => (res) => void res.writeHead(404).end(JSON.stringify({ keys: [key.jwk] }))],
  ['answers with 500', async () => (res) => void res.writeHead(500).end(JSON.stringify({ keys: [key.jwk] }))],
  ['answers with HTML', async () => (res) => void res.end('<html>')],
  ['answers with nothing', async () => (res) => void res.end()],
  ['answers with null', async () => jsonOf(null)],
  ['answers with a list', async () => jsonOf([key.jwk])],
  ['answers with text for keys', async () => jsonOf({ keys: 'none' })],
  ['has no keys', async () => jsonOf({ keys: [] })],
  ['has a thousand keys', async () => jsonOf({ keys: Array.from({ length: 1000 }, () => key.jwk) })],
  [
    'publishes the private key',
    async () => jsonOf({ keys: [{ ...(await exportJWK(key.privateKey)), kid: key.jwk.kid }] }),
  ],
  ['publishes a secret', async () => jsonOf({ keys: [key.jwk, { kty: 'oct', k: 'AAAA', kid: 'secret' }] })],
  ['has a key id that is no text', async () => jsonOf({ keys: [{ ...key.jwk, kid: 7 }] })],
  ['has a key for encryption', async () => jsonOf({ keys: [{ ...key.jwk, use: 'enc' }] })],
  ['has a broken key', async () => jsonOf({ keys: [{ ...key.jwk, x: 'AAAA' }] })],
] satisfies [string, () => Promise<KeyServer['answer']>][]) {
  test(`an app whose server of keys ${what} is refused, and the neighbours are not held up`, async () => {
    const neighbour = await addKeyed()
    keys.publish(key.jwk)
    assert.equal(await ask(neighbour), 200)
    const app = await addKeyed()
    keys.answer = await answerWith()
    const asked = keys.asked
    const began = performance.now()
    const refused = ask(app)
    assert.equal(await ask(neighbour), 200)
    assert.ok(performance.now() - began < 2000)
    assert.equal(await refused, 401)
    const sent = keys.asked
    // A kept connection that is closed on reuse is tried once more.
    assert.ok(sent <= asked + 2, 'nothing is followed')
    assert.equal(await ask(app), 401)
    assert.equal(keys.asked, sent, 'nothing is tried again at once')
  })
}

test('a server of keys that fails counts as no guess of a secret', async () => {
  const limited = await startTestServer({ env: { LOGIN_ATTEMPTS_BEFORE_DELAY: '2', IP_BLOCK_AFTER: '3' } })
  try {
    keys.answer = (res) => void res.destroy()
    const app = await addKeyed(limited)
    const secret = await limited.addApp('notes', notesApp)
    for (let round = 0; round < 5; round++) assert.equal(await ask(app), 401)
    const notes = new Client(limited.url, 'notes', secret, CALLBACK)
    assert.deepEqual(await notes.introspect('x'), { active: false })
    assert.match(limited.log(), /"keysProblem":"hung up without an answer"/)
  } finally {
    await limited.close()
  }
})

test('keys in a private network, or at a metadata endpoint, are fetched only where the operator allows it', async () => {
  const guarded = await startTestServer({ env: { ALLOWED_NETWORKS: '10.9.9.0/24' } })
  try {
    keys.publish(key.jwk)
    const asked = keys.asked
    for (const uri of [
      `${keys.uri}?guarded`,
      keys.uri.replace('127.0.0.1', 'localhost'),
      'https://10.1.2.3/jwks.json',
      'https://[::ffff:192.168.1.1]/jwks.json',
      'https://169.254.169.254/latest/meta-data',
      'https://[fd00:ec2::254]/jwks.json',
    ]) {
      count++
      assert.equal(await ask(await addKeyed(guarded, uri)), 401, uri)
    }
    assert.equal(keys.asked, asked)
    assert.match(guarded.log(), /"reason":"keys_unavailable"/)
  } finally {
    await guarded.close()
  }
})
