import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import argon2 from 'argon2'
import { lockIdentity } from '../../storage/identities.ts'
import { transaction } from '../../storage/postgres.ts'
import { problemIn } from '../../testing/portal/answers.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { connect } from '../../testing/portal/connections.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { lastMail, linkFor, queuedMails } from '../../testing/mail/mails.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const NEW = 'a loom that weaves flowers and leaves'
const clock = createClock()
let server: TestServer
let notes: Client
let count = 0

before(async () => {
  server = await startTestServer({ clock })
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
})
after(() => server.close())

async function newUser(): Promise<{ id: string; username: string; email: string; password: string; here: Browser }> {
  const username = `changer${++count}`
  const person = { username, email: `${username}@example.test`, password: ada.password }
  const id = await server.addIdentity(person)
  const here = new Browser(server.url)
  await here.signIn(person)
  return { ...person, id, here }
}

function change(password = NEW, current: string = ada.password): Record<string, string> {
  return { current_password: current, password, password_confirmation: password }
}

async function identityCookie(browser: Browser): Promise<string | undefined> {
  return (await browser.jar.getCookies(server.url)).find(({ key }) => key === 'identity')?.value
}

async function signsIn(login: string, password: string): Promise<boolean> {
  return (await new Browser(server.url).post('/login', { login, password })).status === 303
}

test('who knows the current password changes it, and stays signed in here, under a new cookie', async () => {
  const { here, username } = await newUser()
  const form = (await readPage(await here.get('/settings/password'))).forms.find(({ action }) =>
    action.endsWith('password'),
  )
  assert.deepEqual(Object.keys(form?.fields ?? {}), [
    'username',
    'current_password',
    'password',
    'password_confirmation',
  ])
  const cookie = await identityCookie(here)
  const thief = await here.copy()

  const response = await here.post('/settings/password', change())
  assert.equal(response.headers.get('location'), '/settings')
  assert.notEqual(await identityCookie(here), cookie)
  const page = await readPage(await here.get('/settings'))
  assert.equal(page.notice, 'Your password is changed. Every other browser and every app was signed out.')
  assert.equal((await thief.get('/dashboard')).status, 303)
  assert.deepEqual([await signsIn(username, NEW), await signsIn(username, ada.password)], [true, false])
})

/** As it was hashed before the parameters were raised. */
async function weaken(id: string): Promise<void> {
  const weak = { type: argon2.argon2id, memoryCost: 8192, timeCost: 1, parallelism: 1 } as const
  const hash = await argon2.hash(ada.password, weak)
  await server.services.storage.pool.query('UPDATE identities SET password_hash = $2 WHERE id = $1', [id, hash])
}

test('a current password whose hash is made anew on the way is still the current one', async () => {
  const { id, here, username } = await newUser()
  await weaken(id)
  const response = await here.post('/settings/password', change())
  assert.equal(response.headers.get('location'), '/settings')
  assert.equal(await signsIn(username, NEW), true)
})

test('a current password that another sign-in hashes anew at the same moment is still the current one', async () => {
  const { id, here, username } = await newUser()
  const { pool } = server.services.storage
  const answer = await transaction(pool, async (db) => {
    await lockIdentity(db, id)
    const sent = here.post('/settings/password', change())
    await waitForLock()
    const anew = await argon2.hash(ada.password, {
      type: argon2.argon2id,
      memoryCost: 19_456,
      timeCost: 2,
      parallelism: 1,
    })
    await db.query('UPDATE identities SET password_hash = $2 WHERE id = $1', [id, anew])
    return [sent] as const
  })
  assert.equal((await answer[0]).headers.get('location'), '/settings')
  assert.equal(await signsIn(username, NEW), true)
})

test('a current password that is another one by the time of the change changes nothing', async () => {
  const { id, here, username } = await newUser()
  const { pool } = server.services.storage
  const other = 'a mill that grinds numbers all day'
  const answer = await transaction(pool, async (db) => {
    await lockIdentity(db, id)
    const sent = here.post('/settings/password', change())
    await waitForLock()
    await db.query('UPDATE identities SET password_hash = $2 WHERE id = $1', [id, await argon2.hash(other)])
    return [sent] as const
  })
  assert.equal((await answer[0]).status, 422)
  assert.deepEqual([await signsIn(username, NEW), await signsIn(username, other)], [false, true])
})

test('all who sign in at once with an outdated password hash get in', async () => {
  const { id, username } = await newUser()
  await weaken(id)
  const entries = await Promise.all(Array.from({ length: 4 }, async () => signsIn(username, ada.password)))
  assert.deepEqual(entries, [true, true, true, true])
})

/** Not asked in a transaction, which sees no connection that was opened after it looked first. */
async function waitForLock(): Promise<void> {
  const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
  while ((await server.services.storage.pool.query(waiting)).rowCount === 0) await wait(10)
}

test('every other browser and every app is out, also the apps of this browser, and those that work offline', async () => {
  const person = await newUser()
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(person)
  const tokens = [
    (await notes.connect(elsewhere)).refresh_token,
    (await notes.connect(person.here)).refresh_token,
    (await connect(server.services, person.id, 'notes', { scope: 'openid offline_access' })).refreshToken,
  ]
  assert.equal((await person.here.post('/settings/password', change())).status, 303)
  assert.equal((await elsewhere.get('/dashboard')).status, 303)
  for (const token of tokens) {
    const { status, error, reason } = await problemIn(await notes.refresh(token))
    assert.deepEqual([status, error, reason], [400, 'invalid_grant', 'revoked'])
  }
  const silent = await elsewhere.get(notes.authorizeUrl({ prompt: 'none' }))
  assert.match(silent.headers.get('location') ?? '', /error=login_required/)

  const activity = (await readPage(await person.here.get('/activity'))).text
  assert.match(activity, /You changed your password\./)
  assert.match(activity, /Signed out of Notes in 3 browsers: you changed your password\./)
  assert.doesNotMatch(activity.split('You changed your password.')[0] as string, /New browser/)
  assert.match((await readPage(await person.here.get('/sessions'))).text, /this browser/)
})

test('the person is told by mail, pending links are void, and no other browser is known any more', async () => {
  const person = await newUser()
  await new Browser(server.url).signIn(person)
  const holder = { identityId: person.id, email: person.email }
  const reset = await linkFor(server.services, 'reset-password', holder)
  const move = await linkFor(server.services, 'change-address', { ...holder, email: 'evil@example.test' })
  assert.equal((await person.here.post('/settings/password', change())).status, 303)

  const mail = await lastMail(server.services, 'password-changed')
  assert.deepEqual(
    [mail.identityId, mail.at, mail.clientInfo?.address],
    [person.id, clock().toISOString(), '127.0.0.1'],
  )
  assert.equal(
    (await queuedMails(server.services)).some(
      (each) => each.kind === 'unfamiliar-sign-in' && each.identityId === person.id,
    ),
    true,
  )
  for (const link of [reset, move]) assert.equal((await new Browser(server.url).get(link)).status, 404)
  const { rows } = await server.services.storage.pool.query('SELECT 1 FROM devices WHERE identity_id = $1', [person.id])
  assert.equal(rows.length, 1)
})

test('without the current password nothing changes, and the person reads that a wrong one was entered', async () => {
  const { here, username } = await newUser()
  for (const wrong of ['not the password at all', 'x'.repeat(4000)]) {
    const page = await readPage(await here.post('/settings/password', change(NEW, wrong)))
    assert.equal(page.status, 422)
    assert.deepEqual(page.problems, ['That is not your password.'])
  }
  assert.deepEqual([await signsIn(username, NEW), await signsIn(username, ada.password)], [false, true])
  assert.match(
    (await readPage(await here.get('/activity'))).text,
    /A wrong password was entered while you were changing your password\./,
  )
})

test('an empty form says which fields are missing, and is no attempt to sign in', async () => {
  const { here } = await newUser()
  const page = await readPage(await here.post('/settings/password', change('', '')))
  assert.deepEqual([page.status, page.problems], [422, ['Enter your current password.', 'Enter a new password.']])
  const { problems } = await readPage(await here.post('/settings/password', change(NEW, '')))
  assert.deepEqual(problems, ['Enter your current password.'])
  assert.doesNotMatch((await readPage(await here.get('/activity'))).text, /attempt|wrong password/)
})

test('a new password that will not do is refused in words, and none is printed back', async () => {
  const { here, email, username } = await newUser()
  for (const [fields, problem] of [
    [change('short'), 'Use at least 15 characters.'],
    [change(email), 'Use a password that is harder to guess from your name or address.'],
    [{ ...change(), password_confirmation: 'other' }, 'The two passwords are not the same.'],
  ] as const) {
    const page = await readPage(await here.post('/settings/password', fields))
    assert.equal(page.status, 422)
    assert.deepEqual(page.problems, [problem])
    assert.equal(page.html.includes(NEW) || page.html.includes(ada.password), false)
  }
  assert.equal(await signsIn(username, ada.password), true)
})

test('of two changes at once one is made', async () => {
  const { here, username } = await newUser()
  const passwords = [`${NEW} 1`, `${NEW} 2`]
  const answers = await Promise.all(
    passwords.map(async (each) => (await here.copy()).post('/settings/password', change(each))),
  )
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [303, 422])
  const winner = passwords[answers.findIndex(({ status }) => status === 303)] as string
  assert.equal(await signsIn(username, winner), true)
})

test('strangers and other sites change no password', async () => {
  const { here, username } = await newUser()
  assert.equal((await new Browser(server.url).get('/settings/password')).status, 303)
  assert.equal((await new Browser(server.url).post('/settings/password', change())).headers.get('location'), '/login')
  assert.equal((await here.post('/settings/password', change(), { origin: 'https://evil.test' })).status, 403)
  assert.equal(await signsIn(username, ada.password), true)
})
