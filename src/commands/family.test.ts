import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const clock = createClock()
let server: TestServer
let notes: Client
let photos: Client
let browser: Browser

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

function family(...args: string[]): Promise<Finished> {
  return runCommand(['family', ...args], { DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET })
}

test('an operator finds out why a user was signed out, by the id in the token or by the name of the person', async () => {
  const first = await notes.connect(browser)
  const id = claimsOf(first.access_token)['fam'] as string
  clock.advance(60)
  const second = (await (await notes.refresh(first.refresh_token)).json()) as { refresh_token: string }
  await notes.refresh(second.refresh_token)
  clock.advance(60)
  await notes.refresh(first.refresh_token)

  const [shown, words, listed] = await Promise.all([
    family('show', id, '--json'),
    family('show', id),
    family('list', '--user', 'ADA@example.test', '--app', 'notes', '--limit', '1', '--json'),
  ])
  const story = printed<{
    user: string
    cause: string
    why: string
    advice: string
    story: { kind: string; count: number }[]
  }>(shown)
  assert.deepEqual([story.user, story.cause], ['ada', 'own_reuse'])
  assert.match(
    story.advice,
    /^the app presented generation 0 of its refresh token, from 127\.0\.0\.1, at least 60 s after it was replaced; the family was at generation 2\. Store each/,
  )
  assert.match(story.why, /old key of its own.*: generation 0 came back after 2, from node, 127\.0\.0\.1$/)
  assert.deepEqual(
    story.story.map(({ kind, count }) => [kind, count]),
    [
      ['connected', 1],
      ['refreshed', 2],
      ['refused_own_reuse', 1],
      ['ended', 1],
    ],
  )
  assert.match(words.stdout, /^heard +(Notes loses access|The access of Notes ended) by .+ UTC( at the latest)?\.$/m)
  assert.match(words.stdout, /^why +the app used an old key of its own again.*\n/m)
  assert.match(
    words.stdout,
    /^first +last +kind +what +from\n\S+Z +\S+Z +connected +You signed in to Notes\. +Firefox on Linux, 127\.0\.0\.1\n/m,
  )
  assert.deepEqual(
    printed<{ id: string; why: string }[]>(listed).map((each) => [each.id, each.why]),
    [[id, story.why]],
  )
  const { rows } = await server.services.storage.pool.query<{ a: Buffer; b: Buffer }>(
    'SELECT current_hash AS a, previous_hash AS b FROM families WHERE id = $1',
    [id],
  )
  const hashes = rows
    .flatMap(({ a, b }) => [a, b])
    .flatMap((hash) => [hash.toString('hex'), hash.toString('base64url')])
  for (const secret of [...Object.values(first), second.refresh_token, ...hashes].map(String)) {
    const told = shown.stdout + words.stdout + listed.stdout
    assert.equal(secret.length > 20 && secret !== first.scope && told.includes(secret), false)
  }
})

test('an operator ends a family; its app hears why, and ending it again changes nothing', async () => {
  const tokens = await photos.connect(browser)
  const id = claimsOf(tokens.access_token)['fam'] as string
  assert.equal(printed<unknown[]>(await family('list', '--app', 'photos', '--json')).length, 1)
  const ended = printed(await family('end', id, '--json'))
  assert.deepEqual(
    [ended['state'], ended['cause'], ended['why']],
    ['ended', 'operator', 'an administrator signed it out'],
  )
  const refusal = (await (await photos.refresh(tokens.refresh_token)).json()) as Record<string, unknown>
  assert.deepEqual([refusal['reason'], refusal['fam']], ['revoked', id])
  assert.equal(printed(await family('end', id, '--json'))['ended_at'], ended['ended_at'])
  assert.equal((await family('list', '--app', 'photos')).stdout, 'none\n')
})

test('what is not there is said on one line', async () => {
  const id = randomUUID()
  const [shown, ended, nonsense, list, nobody, limit] = await Promise.all([
    family('show', id),
    family('end', id),
    family('show', 'x'),
    family('list'),
    family('list', '--user', 'nobody'),
    family('list', '--user', 'ada', '--limit', '0'),
  ])
  const words = `there is no family ${id}, or it ended too long ago to be remembered\n`
  assert.deepEqual(shown, { code: 1, stdout: '', stderr: words })
  assert.equal(ended.stderr, words)
  assert.match(nonsense.stderr, /^there is no family x/)
  assert.equal(list.stderr, 'name a --user or an --app\n')
  assert.equal(nobody.stderr, 'there is no identity nobody\n')
  assert.match(limit.stderr, /a number from 1 to 9999/)
  assert.deepEqual([nonsense.code, list.code, nobody.code, limit.code], [1, 1, 1, 1])
})
