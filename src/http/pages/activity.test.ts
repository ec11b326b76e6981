import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { disableIdentity, enableIdentity } from '../../domain/identities/identities.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const clock = createClock(new Date(new Date().setUTCHours(10, 0, 0, 0)))
let server: TestServer
let notes: Client
let identityId: string

before(async () => {
  server = await startTestServer({ clock })
  identityId = await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())

/** What the page says, newest first: only the sentences, with the ones a screen reader adds. */
async function happenings(browser: Browser, path = '/activity'): Promise<string[]> {
  const { html } = await readPage(await browser.get(path))
  return [...html.matchAll(/<li class="tone-(\w+)">[\s\S]*?<p class="event-sentence">(.*?)<\/p>/g)].map(
    ([, tone, sentence = '']) => `${tone}: ${sentence.replaceAll(/<[^>]*>/g, '')}`,
  )
}

test('what happens is told in words, newest first', async () => {
  const browser = new Browser(server.url)
  await browser.post('/login', { login: 'ada', password: 'wrong' })
  await browser.signIn(ada)
  const first = await notes.connect(browser)
  await notes.connect(browser)
  await browser.post('/apps/notes/disconnection', {})
  const stolen = await notes.connect(browser)
  const next = (await (await notes.refresh(stolen.refresh_token)).json()) as Tokens
  clock.advance(31)
  await notes.refresh(next.refresh_token)
  await notes.refresh(stolen.refresh_token)
  const other = new Browser(server.url)
  await other.signIn(ada)
  assert.equal((await notes.revoke((await notes.connect(other)).refresh_token)).status, 200)
  await browser.post('/sessions/revocation', {})
  await browser.post('/logout', {})
  await disableIdentity(server.services, identityId)
  await enableIdentity(server.services, identityId)
  await browser.signIn(ada)

  assert.equal(typeof first.access_token, 'string')
  assert.deepEqual(await happenings(browser), [
    'good: You signed in with your password.',
    'good: Your account was enabled again by an administrator.',
    'warning: Your account was disabled by an administrator.',
    'plain: You signed out.',
    'plain: Firefox on Linux was signed out: you signed out everywhere else.',
    'plain: Signed out of Notes: the app signed you out.',
    'good: You signed in to Notes.',
    'warning: New browser: you signed in with your password.',
    'plain: Signed out of Notes: the app used an old key of its own again, which is a fault in the app.',
    'good: You signed in to Notes 3 times.',
    'plain: Signed out of Notes: you removed the app.',
    'good: You signed in with your password.',
    'plain: A wrong password was entered in a browser that you use.',
    'good: Your account was created.',
  ])
})

test('every line says when, where and in which browser', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  clock.advance(60)
  const { text } = await readPage(await browser.get('/activity'))
  assert.match(
    text,
    /New browser: you signed in with your password\. \d+ \w{3,4} \d{4}, 10:00 UTC Firefox on Linux 127\.0\.0\.1 2 times .*? 1 minute ago/,
  )
})

test('days have headings', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  clock.advance(86_400)
  await browser.signIn(ada)
  clock.advance(86_400)
  await browser.signIn(ada)
  const { html } = await readPage(await browser.get('/activity'))
  const headings = [...html.matchAll(/<h2 id="day-\d">(.*?)<\/h2>/g)].map((match) => match[1])
  assert.deepEqual(headings.slice(0, 2), ['Today', 'Yesterday'])
  assert.match(headings[2] ?? '', /^\w+day,? \d+ \w+ \d{4}$/)
})

test('long histories come in pages, and no user reads those of another', async () => {
  await server.addIdentity(grace)
  const browser = new Browser(server.url)
  await browser.signIn(grace)
  await server.services.storage.pool.query(
    `INSERT INTO audit_events (at, kind, identity_id, detail)
     SELECT $1::timestamptz + n * interval '1 ms', 'signed_out', id, n::text FROM identities, generate_series(1, 118) n WHERE username = 'grace'`,
    [clock()],
  )
  const lengths: number[] = []
  let path: string | undefined = '/activity'
  while (path !== undefined) {
    lengths.push((await happenings(browser, path)).length)
    path = /<a class="button quiet" href="([^"]+)">Older activity/.exec(
      (await readPage(await browser.get(path))).html,
    )?.[1]
  }
  assert.deepEqual(lengths, [50, 50, 20])

  const others = new Browser(server.url)
  await others.signIn(ada)
  assert.equal((await happenings(others, '/activity?before=999999')).length < 50, true)
})

for (const before of ['0', '-1', '1e9', 'NaN', "'", '', '99999999999999999999', '9'.repeat(18), '%00', '1&before=2']) {
  test(`paging from ${JSON.stringify(before)} is a page like any other`, async () => {
    const browser = new Browser(server.url)
    await browser.signIn(ada)
    assert.equal((await readPage(await browser.get(`/activity?before=${before}`))).heading, 'Activity')
  })
}
