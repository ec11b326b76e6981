import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readIcon } from '../../domain/apps/app-icons.ts'
import { type AppRow, changeApp, disableApp, findApp } from '../../domain/apps/apps.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { elementsOf, readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
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

test('who has one sign-in reads where it is and when it was used, each fact once', async () => {
  const browser = await signedIn('one')
  const first = await notes.connect(browser)
  clock.advance(180)
  await notes.refresh(first.refresh_token)
  clock.advance(60)
  const page = await readPage(await browser.get('/dashboard'))
  assert.match(page.text, /Open an app, or sign out of it where you no longer use it\./)
  assert.match(page.text, /Notes Firefox on Linux this browser 127\.0\.0\.1 Last used 1 minute ago Details of/)
  assert.equal(page.text.split('1 minute ago').length, 2)
  assert.deepEqual(
    page.forms.map((form) => form.buttons),
    [['Sign out'], ['Send the link again'], ['Sign out of Notes in Firefox on Linux']],
  )
})

test('the app used last comes first, and this browser comes first in each', async () => {
  const browser = await signedIn('two')
  await photos.connect(browser)
  clock.advance(60)
  const other = new Browser(server.url)
  await other.post('/login', { login: 'two', password: 'a door that opens to the left' })
  await notes.connect(browser)
  clock.advance(60)
  await notes.connect(other)
  const page = await readPage(await browser.get('/dashboard'))
  assert.match(
    page.text,
    /Notes Firefox on Linux this browser .* Firefox on Linux 127.*Photos Firefox on Linux this browser/,
  )
})

test('who has 200 sign-ins sees three at once, can open the rest, and waits for neither', async () => {
  const browser = await signedIn('many')
  await notes.connect(browser)
  await server.services.storage.pool.query(
    `INSERT INTO families (id, client_id, identity_id, identity_session_id, current_hash, scope, amr, auth_time,
       created_at, last_used_at, idle_expires_at, expires_at, review_at, lifetime, browser, address)
     SELECT gen_random_uuid(), client_id, f.identity_id, identity_session_id, sha256(n::text::bytea), scope, amr, auth_time,
       f.created_at, last_used_at, idle_expires_at, expires_at, review_at, lifetime, browser, f.address
     FROM families f JOIN identities i ON i.id = f.identity_id, generate_series(1, 199) n WHERE i.username = 'many'`,
  )
  const page = await readPage(await browser.get('/dashboard'))
  assert.match(page.text, /Show all 200 sign-ins to Notes/)
  const actions = page.forms.map((form) => form.action).filter((action) => action.startsWith('/families/'))
  assert.equal(new Set(actions).size, 200)
  assert.equal(page.html.slice(0, page.html.indexOf('<details')).split('/revocation').length - 1, 3)

  const asked = await readPage(await browser.get('/apps/notes/disconnection'))
  assert.match(asked.text, /in one browser, with 200 sign-ins: Firefox on Linux \(200 sign-ins\) this browser/)
  await browser.post('/apps/notes/disconnection', {})
  const after = await readPage(await browser.get('/dashboard'))
  assert.match(after.text, /200 ended sign-ins to Notes.*and 195 older/)
  assert.equal(after.html.split('class="receipt').length - 1, 3 + 5)
})

test('an app with a home is opened from its card, and one that was never opened is offered', async () => {
  const browser = await signedIn('opener')
  const { services } = server
  const [board, closed] = ['board', 'closed'] as const
  for (const id of [board, closed]) await server.addApp(id, { ...notesApp, name: id, homeUri: `https://${id}.test/` })
  const change = { homeUri: 'https://notes.example.test/start', description: 'Write <things> down' }
  await changeApp(services, (await findApp(services, 'notes')) as AppRow, change, readIcon(PNG))
  await disableApp(services, (await findApp(services, closed)) as AppRow)

  const offered = await readPage(await browser.get('/dashboard'))
  assert.match(offered.text, /More apps you can open board Open board Notes Write <things> down Open Notes$/)
  await notes.connect(browser)
  const { html, text } = await readPage(await browser.get('/dashboard'))
  assert.match(
    text,
    /Notes Write <things> down Open Notes Firefox on Linux this browser .*More apps you can open board Open board$/,
  )
  assert.match(html, /<a class="button primary app-open" href="https:\/\/notes\.example\.test\/start">Open Notes<\/a>/)
  assert.match(html, /<img class="tile has-icon" src="\/app-icons\/notes\/[\w-]{22}" alt=""/)
  assert.doesNotMatch(html, /closed\.test|photos/i)

  await changeApp(services, (await findApp(services, 'notes')) as AppRow, { homeUri: null, description: null }, null)
  await changeApp(services, (await findApp(services, board)) as AppRow, { homeUri: null })
  assert.doesNotMatch((await readPage(await browser.get('/dashboard'))).text, /Open (Notes|board)/)
})

test('with more than ten apps there is a search, which looks at names and descriptions', async () => {
  const browser = await signedIn('finder')
  const search = async (query: string) => readPage(await browser.get(`/dashboard${query}`))
  assert.doesNotMatch((await search('')).html, /type="search"/)
  const names = Array.from({ length: 11 }, (_, index) => `tool${index}`)
  for (const name of names)
    await server.addApp(name, { ...notesApp, name, homeUri: `https://${name}.test/`, description: `Número ${name}` })
  await server.addApp('cafe', { ...notesApp, name: 'Café Über', homeUri: 'https://cafe.test/' })
  try {
    const page = await search('')
    assert.match(page.html, /<input id="q" name="q" type="search" value=""/)
    assert.equal(page.text.split('Open tool').length - 1, 11)
    assert.match(
      (await search('?q=cafe+uber')).text,
      /One app fits “cafe uber”\. Show all apps .*Café Über Open Café Über$/,
    )
    assert.match((await search(`?q=${encodeURIComponent(' ＣＡＦÉ ')}`)).text, /One app fits/)
    assert.match((await search('?q=NUMERO+7')).text, /One app fits .* tool7 Número tool7 Open tool7$/)
    assert.match((await search('?q=tool1')).text, /2 apps fit “tool1”/)
    const none = await search(`?q=${encodeURIComponent(HOSTILE)}`)
    assert.match(none.text, /No app fits/)
    assert.doesNotMatch(none.html, /<img src=x/)
    for (const odd of ['?q=', '?q=%20', '?q=a&q=b', '?q[x]=a', '?q=%00', '?q=%', `?q=${'x'.repeat(5000)}`])
      assert.equal((await search(odd)).status, 200, odd)
  } finally {
    for (const name of [...names, 'cafe'])
      await changeApp(server.services, (await findApp(server.services, name)) as AppRow, { homeUri: null })
  }
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
    'Ended: you ended it, from Firefox on Linux, 127.0.0.1.',
    'Ended: the app signed you out, from node, 127.0.0.1. Notes signed you out itself. Its access ended by',
    'Ended: the app used an old key of its own again, which is a fault in the app, from node, 127.0.0.1.',
    'Ended: it was not used for a long time.',
  ]) {
    assert.ok(text.includes(why), `${why} is missing in ${text}`)
  }
  assert.match(text, /4 ended sign-ins to Notes/)
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
    /Just signed out Sign-in to <b>Letters & Co<\/b> in Firefox on Linux Waiting for <b>Letters & Co<\/b> to confirm\. It loses access by .+ UTC at the latest\. Sign-in to Photos in Firefox on Linux Photos loses access by .* at the latest\. Look again/,
  )
  assert.match(
    waiting.text,
    /One ended sign-in to <b>.* Ended: you ended it, from Firefox on Linux, 127\.0\.0\.1\. Waiting for <b>Letters & Co<\/b>/,
  )
  assert.doesNotMatch(waiting.html, /<b>/)

  const confirmed = new Date(Number(clock()) + 1000)
  await pool.query('UPDATE notices SET attempts = 1, confirmed_at = $2 WHERE family_id = $1', [family, confirmed])
  const heard = await read(browser)
  assert.match(
    heard.text,
    /Just signed out .* Ended: you ended it, .+\. <b>Letters & Co<\/b> confirmed the sign-out \(.+ UTC\)/,
  )
  assert.doesNotMatch(heard.text, /Waiting|Look again/)

  const details = await readPage(await browser.get(`/families/${family}`))
  assert.match(details.text, /Sign-out status <b>Letters & Co<\/b> confirmed the sign-out/)
  assert.doesNotMatch(details.html, /<b>/)
  await pool.query(
    `INSERT INTO notices (id, kind, client_id, family_id, identity_id, happened_at)
     SELECT gen_random_uuid(), 'session-revoked', client_id, family_id, identity_id, happened_at FROM notices WHERE family_id = $1`,
    [family],
  )
  const both = await readPage(await browser.get(`/families/${family}`))
  assert.match(
    both.text,
    / asked to sign you out, and confirmed \(.+ UTC\)\. The app was told what happened, and has not confirmed\. /,
  )

  const stranger = await read(await signedIn('stranger'))
  assert.doesNotMatch(stranger.text, /Letters|Just signed out|confirmed|loses access/)

  clock.advance(300)
  const later = await read(browser)
  assert.doesNotMatch(later.text, /Just signed out/)
  assert.match(later.text, /The access of Photos ended by/)
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
