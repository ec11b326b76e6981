import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { elementsOf, readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'

const clock = createClock()
let server: TestServer
let notes: Client
let photos: Client

before(async () => {
  server = await startTestServer({ clock, env: { FAMILY_IDLE: '7200', FAMILY_MAX: '14400' } })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  await server.addApp('photos', photosApp)
  photos = new Client(server.url, 'photos', null, 'https://photos.example.test/')
})
after(() => server.close())

/** A new user, signed in. */
async function signedIn(username: string): Promise<Browser> {
  const person = { username, email: `${username}@example.test`, password: 'a door that opens to the left' }
  await server.addIdentity(person)
  const browser = new Browser(server.url)
  await browser.signIn(person)
  return browser
}

test('who has no app reads what this page is for', async () => {
  const page = await readPage(await (await signedIn('zero')).get('/dashboard'))
  assert.equal(page.title, 'Your apps · Gatehouse')
  assert.match(page.text, /No apps yet, zero Sign in to an app with Gatehouse and it appears here/)
})

test('who has one family reads where it is, since when, and how often it was refreshed', async () => {
  const browser = await signedIn('one')
  const first = await notes.connect(browser)
  clock.advance(180)
  await notes.refresh(first.refresh_token)
  clock.advance(60)
  const page = await readPage(await browser.get('/dashboard'))
  assert.match(page.text, /1 sign-in to 1 app\. End one, and the app has to ask you to sign in again\./)
  assert.match(page.text, /Notes Connected in this browser Connected since .* Last used 1 minute ago/)
  assert.match(page.text, /Firefox on Linux this browser 127\.0\.0\.1 Connected 4 minutes ago/)
  assert.match(page.text, /Refreshed 1 minute ago 1 refresh/)
  assert.deepEqual(
    page.forms.map((form) => form.buttons),
    [['Sign out'], ['Disconnect Notes'], ['End this sign-in to Notes on Firefox on Linux']],
  )
})

test('the app used last comes first, and a family of another browser says so', async () => {
  const browser = await signedIn('two')
  await photos.connect(browser)
  clock.advance(60)
  const elsewhere = await browser.copy()
  await elsewhere.post('/login', { login: 'two', password: 'a door that opens to the left' })
  const other = new Browser(server.url)
  await other.post('/login', { login: 'two', password: 'a door that opens to the left' })
  await notes.connect(other)
  const page = await readPage(await elsewhere.get('/dashboard'))
  assert.match(
    page.text,
    /2 sign-ins to 2 apps.*Notes Connected in one other browser.*Photos Connected in this browser/,
  )
})

test('who has 200 families sees ten at once, can open the rest, and waits for neither', async () => {
  const browser = await signedIn('many')
  await notes.connect(browser)
  await server.services.storage.pool.query(
    `INSERT INTO families (id, client_id, identity_id, identity_session_id, current_hash, scope, amr, auth_time,
       created_at, last_used_at, idle_expires_at, expires_at, review_at, lifetime, browser, address)
     SELECT gen_random_uuid(), client_id, f.identity_id, identity_session_id, sha256(n::text::bytea), scope, amr, auth_time,
       f.created_at, last_used_at, idle_expires_at, expires_at, review_at, lifetime, browser, address
     FROM families f JOIN identities i ON i.id = f.identity_id, generate_series(1, 199) n WHERE i.username = 'many'`,
  )
  const page = await readPage(await browser.get('/dashboard'))
  assert.match(page.text, /200 sign-ins to 1 app/)
  assert.match(page.text, /Connected 200 times/)
  assert.match(page.text, /Show all 200/)
  const actions = page.forms.map((form) => form.action).filter((action) => action.startsWith('/families/'))
  assert.equal(new Set(actions).size, 200)
  assert.equal(page.html.slice(0, page.html.indexOf('<details')).split('/revocation').length - 1, 10)

  await browser.post('/apps/notes/disconnection', {})
  const after = await readPage(await browser.get('/dashboard'))
  assert.match(after.text, /No app is connected right now\..*200 ended.*and 195 older/)
  assert.equal(after.html.split('class="receipt').length - 1, 3 + 5)
})

test('every family that is over says why', async () => {
  const browser = await signedIn('over')
  const familyOf = (tokens: Tokens) => claimsOf(tokens.access_token)['fam'] as string
  await browser.post(`/families/${familyOf(await notes.connect(browser))}/revocation`, {})
  await notes.revoke((await notes.connect(browser)).refresh_token)
  const reused = await notes.connect(browser)
  const next = (await (await notes.refresh(reused.refresh_token)).json()) as Tokens
  clock.advance(60)
  await notes.refresh(next.refresh_token)
  await notes.refresh(reused.refresh_token)
  await notes.connect(browser)
  clock.advance(7200)

  const { text } = await readPage(await browser.get('/dashboard'))
  for (const why of [
    'You ended it, from Firefox on Linux, 127.0.0.1.',
    'The app signed you out, from node, 127.0.0.1. Notes ended it itself; its last token stopped working',
    'The app used an old key of its own again, which is a fault in the app: generation 0 came back after 2, from node, 127.0.0.1.',
    'It was not used for a long time.',
  ]) {
    assert.ok(text.includes(why), `${why} is missing in ${text}`)
  }
  assert.match(text, /4 ended/)
})

test('what has just ended comes first for five minutes, and says whether its app has heard', async () => {
  await server.addApp('letters', { ...notesApp, name: '<b>Letters & Co</b>' })
  const { pool } = server.services.storage
  await pool.query("UPDATE apps SET is_public = true, secret_hash = NULL WHERE client_id = 'letters'")
  const letters = new Client(server.url, 'letters', null, 'https://notes.example.test/callback')
  const browser = await signedIn('heard')
  const read = async (who: Browser) => readPage(await who.get('/dashboard'))
  await photos.connect(browser)
  await browser.post('/apps/photos/disconnection', {})
  const family = claimsOf((await letters.connect(browser)).access_token)['fam'] as string
  await browser.post(`/families/${family}/revocation`, {})
  // Without a back-channel URI no app is notified, so nothing comes between this and the page.
  await pool.query(
    `INSERT INTO notices (id, kind, client_id, family_id, identity_id, happened_at)
     SELECT gen_random_uuid(), 'logout', client_id, id, identity_id, ended_at FROM families WHERE id = $1`,
    [family],
  )

  const waiting = await read(browser)
  assert.match(
    waiting.text,
    /Just ended Sign-in to <b>Letters & Co<\/b> on Firefox on Linux <b>Letters & Co<\/b> has not answered; its last token stops working (on .+ )?at \d\d:\d\d:\d\d UTC\. Sign-in to Photos on Firefox on Linux Photos takes no notices; its last token stops working .*Look again/,
  )
  assert.match(
    waiting.text,
    /1 ended .* You ended it, from Firefox on Linux, 127\.0\.0\.1\. <b>Letters & Co<\/b> has not answered/,
  )
  assert.doesNotMatch(waiting.html, /<b>/)

  const confirmed = new Date(Number(clock()) + 1000)
  await pool.query('UPDATE notices SET attempts = 1, confirmed_at = $2 WHERE family_id = $1', [family, confirmed])
  const heard = await read(browser)
  assert.match(
    heard.text,
    /Just ended .* You ended it, .+\. <b>Letters & Co<\/b> confirmed (on .+ )?at \d\d:\d\d:\d\d UTC/,
  )
  assert.doesNotMatch(heard.text, /has not answered|Look again/)

  const details = await readPage(await browser.get(`/families/${family}`))
  assert.match(details.text, /Whether <b>Letters & Co<\/b> has heard <b>Letters & Co<\/b> confirmed (on .+ )?at \d\d:/)
  assert.doesNotMatch(details.html, /<b>/)
  await pool.query(
    `INSERT INTO notices (id, kind, client_id, family_id, identity_id, happened_at)
     SELECT gen_random_uuid(), 'session-revoked', client_id, family_id, identity_id, happened_at FROM notices WHERE family_id = $1`,
    [family],
  )
  const both = await readPage(await browser.get(`/families/${family}`))
  assert.match(both.text, / Told to sign out, and confirmed .+ UTC\. Told as an event, and not answered\. /)

  const stranger = await read(await signedIn('stranger'))
  assert.doesNotMatch(stranger.text, /Letters|Just ended|confirmed|takes no notices/)

  clock.advance(300)
  const later = await read(browser)
  assert.doesNotMatch(later.text, /Just ended/)
  assert.match(later.text, /Photos takes no notices; its last token stopped working/)
})

test('names, addresses and user agents full of markup stay text on every page', async () => {
  await server.addApp('hostile', { ...notesApp, name: HOSTILE.slice(0, 100) })
  const hostile = new Client(server.url, 'hostile', null, 'https://notes.example.test/callback')
  const { pool } = server.services.storage
  const secret = await pool.query("UPDATE apps SET is_public = true, secret_hash = NULL WHERE client_id = 'hostile'")
  assert.equal(secret.rowCount, 1)
  const agent = `<img src=x onerror=alert(3)>/1.0 (X11; ${HOSTILE}) `
  const browser = new Browser(server.url)
  await browser.post('/login', { login: 'grace', password: grace.password }, { 'user-agent': agent })
  await hostile.connect(browser)
  await pool.query("UPDATE identities SET username = $1 WHERE username_key = 'grace'", [HOSTILE])

  const asked = await browser.follow(await browser.get(hostile.authorizeUrl({ prompt: 'consent' })))
  const pages = [
    asked.response,
    ...(await Promise.all(['/dashboard', '/sessions', '/activity', '/logout'].map((path) => browser.get(path)))),
    await new Browser(server.url).post('/login', { login: HOSTILE, password: 'x' }),
    await new Browser(server.url).post('/register', {
      username: HOSTILE,
      email: HOSTILE,
      password: 'x',
      password_confirmation: 'x',
    }),
    await new Browser(server.url).get(`/login?return_to=${encodeURIComponent('/oauth/authorize?client_id=hostile')}`),
    await new Browser(server.url).get(`/oauth/authorize?client_id=${encodeURIComponent(HOSTILE)}`),
    await new Browser(server.url).get(`/interaction/x?client_id=${encodeURIComponent(HOSTILE)}`),
    await new Browser(server.url).get(`/${encodeURIComponent(HOSTILE)}`),
  ]
  let shown = 0
  for (const response of pages) {
    const page = await readPage(response)
    assert.doesNotMatch(page.html, /<img|<script(?! src="\/public\/)|onerror=alert\(\d\)>(?!&)/, response.url)
    assert.equal(elementsOf(page.html).includes('img'), false)
    assert.doesNotMatch(page.html, /(?:href|src|action)="\s*javascript:/i)
    if (page.html.includes('onerror')) shown++
  }
  assert.ok(shown >= 5, `only ${shown} pages show the text at all`)
})

test('odd queries give the same page, never a mistake', async () => {
  const browser = await signedIn('odd')
  for (const query of ['?notice=<b>', '?notice=__proto__', '?notice=a&notice=b', '?notice[]=a', '?%', '?notice=%00']) {
    const page = await readPage(await browser.get(`/dashboard${query}`))
    assert.equal(page.status, 200)
    assert.equal(page.notice, null)
  }
})
