import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { PublicKeyCredentialCreationOptionsJSON } from '@simplewebauthn/server'
import { deleteAccount } from '../../domain/accounts/deletions.ts'
import { changeRoles, disableIdentity, enableIdentity, revokeEverything } from '../../domain/identities/identities.ts'
import { resetSecondFactors } from '../../domain/sign-in/second-factors.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Authenticator } from '../../testing/browser/authenticator.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, claimsOf } from '../../testing/browser/client.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { addPasskey, addTotp, answerTo, optionsOn, recoveryCodesOn } from '../../testing/portal/factors.ts'
import { waitForMail } from '../../testing/mail/outbox.ts'
import { actionOf, readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const FACTORS = '/settings/second-factors'
const DAY = 86_400
const NEW_PASSWORD = 'a difference engine of pewter'

let server: TestServer
let clock: TestClock
let notes: Client
let person: typeof ada
let id: string
let key: string
let codes: string[]
/** Where the person has set up two-step verification. */
let home: Browser
/** Another browser of theirs, which they trust. */
let laptop: Browser
let people = 0

before(async () => {
  clock = createClock(new Date('2026-11-21T12:00:00Z'))
  server = await startTestServer({ clock })
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
})
beforeEach(async () => {
  people++
  person = { ...ada, username: `ada-${people}`, email: `ada-${people}@example.test` }
  id = await server.addIdentity(person, { emailVerified: true })
  home = new Browser(server.url)
  await home.signIn(person)
  ;({ key, codes } = await addTotp(home, clock()))
  laptop = new Browser(server.url)
  await trust(laptop)
})
after(async () => {
  await server.close()
})

/** Sends the password, and says which page follows. */
async function enter(browser: Browser, password = person.password): Promise<'in' | 'second step'> {
  const response = await browser.post('/login', { login: person.username, password })
  assert.equal(response.status, 303)
  return response.headers.get('location') === '/login/second-factor' ? 'second step' : 'in'
}

async function nextCode(): Promise<string> {
  clock.advance(30)
  return codeOf(key, clock())
}

async function trust(browser: Browser): Promise<void> {
  assert.equal(await enter(browser), 'second step')
  const response = await browser.post('/login/second-factor', { code: await nextCode(), trust_browser: 'yes' })
  assert.equal(response.headers.get('location'), '/dashboard')
}

async function amrOf(browser: Browser): Promise<unknown> {
  const tokens = await notes.connect(browser, {
    claims: JSON.stringify({ id_token: { amr: null, acr: null } }),
  })
  const { amr, acr } = claimsOf(tokens.id_token)
  return { amr, acr }
}

test('a trusted browser signs in with the password alone for thirty days', async () => {
  await laptop.post('/logout', {})
  clock.advance(30 * DAY - 60)
  assert.equal(await enter(laptop), 'in')
  assert.equal((await laptop.get('/dashboard')).status, 200)
  clock.advance(60)
  await laptop.post('/logout', {})
  assert.equal(await enter(laptop), 'second step')
})

test('the second step offers it, unchecked, with the days in words', async () => {
  const browser = new Browser(server.url)
  await enter(browser)
  const page = await readPage(await browser.get('/login/second-factor'))
  assert.match(page.text, /Trust this browser for 30 days/)
  assert.match(page.html, /<input [^>]*name="trust_browser"[^>]*value="yes"(?![^>]* checked)/)
  // A wrong code keeps the choice.
  const again = await readPage(await browser.post('/login/second-factor', { code: '000000', trust_browser: 'yes' }))
  assert.match(again.html, /<input [^>]*name="trust_browser"[^>]* checked/)
})

test('without the choice, or with any other value of it, nothing is trusted', async () => {
  for (const choice of [null, '', 'no']) {
    const browser = new Browser(server.url)
    await enter(browser)
    await browser.post('/login/second-factor', {
      code: await nextCode(),
      ...(choice !== null && { trust_browser: choice }),
    })
    await browser.post('/logout', {})
    assert.equal(await enter(browser), 'second step')
  }
})

test('a wrong password in a trusted browser is a wrong password', async () => {
  await laptop.post('/logout', {})
  assert.equal((await laptop.post('/login', { login: person.username, password: 'wrong' })).status, 401)
})

test('the trust is of one browser and one account', async () => {
  const other = { ...grace, username: `grace-${people}`, email: `grace-${people}@example.test` }
  await server.addIdentity(other)
  const hers = new Browser(server.url)
  await hers.signIn(other)
  await addTotp(hers, clock())
  await laptop.post('/logout', {})
  const response = await laptop.post('/login', { login: other.username, password: other.password })
  assert.equal(response.headers.get('location'), '/login/second-factor')
  assert.equal(await enter(new Browser(server.url)), 'second step')
})

test('a passkey as the second step can be trusted with, too', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  const browser = new Browser(server.url)
  await enter(browser)
  const credential = answerTo(await readPage(await browser.get('/login/second-factor')), device)
  await browser.post('/login/second-factor', { credential, trust_browser: 'yes' })
  await browser.post('/logout', {})
  assert.equal(await enter(browser), 'in')
})

test('a recovery code trusts no browser', async () => {
  for (const field of ['code', 'recovery_code']) {
    const browser = new Browser(server.url)
    await enter(browser)
    const fields = { [field]: codes.pop() as string, trust_browser: 'yes' }
    assert.equal((await browser.post('/login/second-factor', fields)).headers.get('location'), '/dashboard')
    await browser.post('/logout', {})
    assert.equal(await enter(browser), 'second step')
  }
})

test('an app learns of the one factor that was used, and gets the second one when it asks for two', async () => {
  await laptop.post('/logout', {})
  await enter(laptop)
  assert.deepEqual(await amrOf(laptop), { amr: ['pwd'], acr: 'aal1' })
  const silent = await laptop.get(notes.authorizeUrl({ prompt: 'none', acr_values: 'mfa' }))
  assert.match(silent.headers.get('location') ?? '', /error=/)
  const asked = await laptop.follow(await laptop.get(notes.authorizeUrl({ acr_values: 'mfa' })))
  const page = await readPage(asked.response)
  assert.equal(page.heading, 'Two-step verification')
  const answer = await laptop.post(page.forms.find(({ fields }) => 'code' in fields)?.action as string, {
    code: await nextCode(),
  })
  assert.equal(answer.status, 303)
  assert.deepEqual(await amrOf(laptop), { amr: ['pwd', 'otp', 'mfa'], acr: 'mfa' })
})

test('what protects the account asks for the second step also in a trusted browser that has just signed in', async () => {
  await laptop.post('/logout', {})
  await enter(laptop)
  for (const path of [FACTORS, `${FACTORS}/totp/new`, '/settings/email', '/settings/export', '/settings/deletion']) {
    const response = await laptop.get(path)
    assert.equal(response.headers.get('location'), `/reauthentication?return_to=${encodeURIComponent(path)}`, path)
  }
  const posted = await laptop.post(`${FACTORS}/recovery-codes`, {})
  assert.match(posted.headers.get('location') ?? '', /^\/reauthentication/)
  const half = await laptop.post('/reauthentication', { password: person.password, return_to: FACTORS })
  assert.match(half.headers.get('location') ?? '', /^\/login\/second-factor/)
  await laptop.post('/login/second-factor', { code: await nextCode(), return_to: FACTORS })
  assert.equal((await laptop.get(FACTORS)).status, 200)
})

test('administrators and support are neither offered it nor let in by it', async () => {
  // The last administrator could not lose the role.
  await server.addIdentity(
    { ...ada, username: `root-${people}`, email: `root-${people}@example.test` },
    { roles: ['admin'] },
  )
  for (const role of ['admin', 'support']) {
    await changeRoles(server.services, id, ['staff', role])
    await laptop.post('/logout', {})
    assert.equal(await enter(laptop), 'second step', role)
    const page = await readPage(await laptop.get('/login/second-factor'))
    assert.doesNotMatch(page.text, /Trust this browser/)
    await laptop.post('/login/second-factor', { code: await nextCode(), trust_browser: 'yes' })
    await changeRoles(server.services, id, [])
    await laptop.post('/logout', {})
    // What they chose before they had the role still holds; what they tried to choose with it does not.
    assert.equal(await enter(laptop), 'in')
    const other = new Browser(server.url)
    await changeRoles(server.services, id, [role])
    await enter(other)
    await other.post('/login/second-factor', { code: await nextCode(), trust_browser: 'yes' })
    await changeRoles(server.services, id, [])
    await other.post('/logout', {})
    assert.equal(await enter(other), 'second step')
  }
})

test('the setting 0 offers it to no account, and ends what was trusted before', async () => {
  const strict = await startTestServer({ clock, database: server.database, env: { TRUSTED_BROWSER_DAYS: '0' } })
  try {
    const browser = new Browser(strict.url)
    const login = { login: person.username, password: person.password }
    await browser.post('/login', login)
    assert.doesNotMatch((await readPage(await browser.get('/login/second-factor'))).text, /Trust this browser/)
    await browser.post('/login/second-factor', { code: await nextCode(), trust_browser: 'yes' })
    await server.services.storage.pool.query('UPDATE devices SET trusted_until = $2 WHERE identity_id = $1', [
      id,
      new Date(clock().getTime() + DAY * 1000),
    ])
    await browser.post('/logout', {})
    assert.equal((await browser.post('/login', login)).headers.get('location'), '/login/second-factor')
  } finally {
    await strict.close()
  }
})

test('a trust that ends while the password is checked does not let in', async () => {
  await laptop.post('/logout', {})
  const { pool } = server.services.storage
  // The last statement before the sign-in opens its session ends the trust.
  await pool.query(`CREATE FUNCTION end_trust() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN UPDATE devices SET trusted_until = NULL WHERE identity_id = NEW.identity_id; RETURN NEW; END $$`)
  await pool.query(
    'CREATE TRIGGER end_trust BEFORE INSERT ON identity_sessions FOR EACH ROW EXECUTE FUNCTION end_trust()',
  )
  try {
    assert.equal(await enter(laptop), 'second step')
    assert.equal((await laptop.get('/dashboard')).status, 303)
  } finally {
    await pool.query('DROP TRIGGER end_trust ON identity_sessions')
    await pool.query('DROP FUNCTION end_trust()')
  }
})

test('the page of a trusted browser says until when, and asks for the second step there again, and only there', async () => {
  const hashOf = async () => {
    const { rows } = await server.services.storage.pool.query<{ hash: Buffer }>(
      'SELECT hash FROM devices WHERE identity_id = $1 AND trusted_until IS NOT NULL',
      [id],
    )
    return rows.map(({ hash }) => hash.toString('base64url'))
  }
  const [first] = await hashOf()
  await trust(new Browser(server.url))
  const second = (await hashOf()).find((hash) => hash !== first)
  const { response } = await home.follow(await home.get(`/devices/${first}`))
  const page = await readPage(response)
  assert.match(page.text, /Skips two-step verification until \d+ \w+ \d{4}/)
  const stranger = await new Browser(server.url).post(`/devices/${first}/trust-removal`, {})
  assert.equal(stranger.headers.get('location'), '/login')
  const ended = await home.follow(await home.post(actionOf(page, 'Ask for the second step again'), {}))
  const after = await readPage(ended.response)
  assert.equal(after.notice, 'This browser asks for the second step again.')
  assert.doesNotMatch(after.text, /Skips two-step verification/)
  assert.deepEqual(await hashOf(), [second])
  assert.match((await readPage(await home.get('/activity'))).text, /asked for the second step in one browser again/)
  await laptop.post('/logout', {})
  assert.equal(await enter(laptop), 'second step')
})

test('a passkey that was offered ends no trust, and none is offered where the second step was skipped', async () => {
  const offer = await readPage(await home.get('/passkey-offer'))
  const options = optionsOn<PublicKeyCredentialCreationOptionsJSON>(offer)
  const added = await home.post('/passkey-offer', { credential: new Authenticator(server.url).create(options) })
  assert.equal(added.status, 303)
  assert.match((await readPage(await home.get('/activity'))).text, /passkey/)
  await laptop.post('/logout', {})
  const login = { login: person.username, password: person.password, device_has_passkeys: 'yes' }
  assert.equal((await laptop.post('/login', login)).headers.get('location'), '/dashboard')
})

test('the trusted browsers are listed on the page of sign-in methods', async () => {
  const page = await readPage(await home.get(FACTORS))
  assert.match(page.text, /Trusted browsers .* Firefox on Linux until/)
  await home.post(actionOf(page, 'Ask for the second step in all browsers again'), {})
  const after = await readPage(await home.get(FACTORS))
  assert.equal(after.notice, 'Every browser asks for the second step again.')
  assert.doesNotMatch(after.text, /Trusted browsers/)
  assert.match((await readPage(await home.get('/activity'))).text, /asked for the second step in every browser again/)
})

test('what is downloaded says until when a browser is trusted', async () => {
  const file = (await (await home.post('/settings/export', {})).json()) as {
    known_browsers: { trusted_until: string }[]
  }
  assert.equal(file.known_browsers.filter(({ trusted_until }) => trusted_until !== null).length, 1)
})

/** Everything that ends the trust; `laptop` is still signed in then. The password afterwards, when it is another. */
const ENDINGS: [string, () => Promise<string | void>][] = [
  [
    'a password change',
    async () => {
      await changePassword(home)
      return NEW_PASSWORD
    },
  ],
  [
    'a password change in the trusted browser itself',
    async () => {
      await changePassword(laptop)
      return NEW_PASSWORD
    },
  ],
  [
    'a password reset',
    async () => {
      const browser = new Browser(server.url)
      await browser.post('/forgot-password', { email: person.email })
      const { links } = await waitForMail(server.mailFolder, person.email, 'password')
      const fields = { password: NEW_PASSWORD, password_confirmation: NEW_PASSWORD }
      assert.equal((await browser.post(new URL(links[0] as string).pathname, fields)).status, 303)
      return NEW_PASSWORD
    },
  ],
  ['a second factor that is added', async () => void (await addPasskey(home, new Authenticator(server.url)))],
  [
    'a second factor that is removed',
    async () => {
      await addPasskey(home, new Authenticator(server.url))
      await laptop.post('/logout', {})
      await trust(laptop)
      const { html } = await readPage(await home.get(FACTORS))
      const factor = /\/settings\/second-factors\/passkey\/[\w-]{36}/.exec(html)?.[0] as string
      assert.equal((await home.post(`${factor}/removal`, {})).status, 303)
    },
  ],
  [
    'a reset of the second factors by an operator',
    async () => {
      await resetSecondFactors(server.services, id)
      await addTotp(home, clock())
    },
  ],
  ['signing out everywhere', async () => succeed(home.post('/logout', { everywhere: 'yes' }))],
  ['signing out all other browsers', async () => succeed(home.post('/sessions/revocation', {}))],
  [
    '“this was not me”',
    async () => {
      const { links } = await waitForMail(server.mailFolder, person.email, 'New sign-in')
      await succeed(new Browser(server.url).post(new URL(links[0] as string).pathname, {}))
    },
  ],
  [
    'signing that browser out from another one',
    async () => {
      const { rows } = await server.services.storage.pool.query<{ id: string }>(
        `SELECT s.id FROM identity_sessions s JOIN devices d ON d.hash = s.device_hash AND d.identity_id = s.identity_id
         WHERE d.identity_id = $1 AND d.trusted_until IS NOT NULL AND s.ended_at IS NULL`,
        [id],
      )
      await succeed(home.post(`/sessions/${rows[0]?.id}/revocation`, {}))
    },
  ],
  [
    'forgetting the browser',
    async () => {
      const { rows } = await server.services.storage.pool.query<{ hash: Buffer }>(
        'SELECT hash FROM devices WHERE identity_id = $1 AND trusted_until IS NOT NULL',
        [id],
      )
      await succeed(home.post(`/devices/${rows[0]?.hash.toString('base64url')}/removal`, {}))
    },
  ],
  [
    'an account that is disabled',
    async () => {
      await disableIdentity(server.services, id)
      await enableIdentity(server.services, id)
    },
  ],
  ['an operator who ends everything', async () => revokeEverything(server.services, id)],
  [
    'an account that is deleted, and kept',
    async () => {
      await deleteAccount(server.services, id, null)
      const browser = new Browser(server.url)
      await enter(browser)
      await browser.post('/login/second-factor', { code: await nextCode() })
      await succeed(browser.post('/account-restoration', { keep: 'yes' }))
    },
  ],
  ['the button that ends it', async () => succeed(home.post('/settings/trusted-browsers/removal', {}))],
]

for (const [name, end] of ENDINGS) {
  test(`the trust ends with ${name}`, async () => {
    const password = (await end()) ?? person.password
    await laptop.post('/logout', {})
    assert.equal(await enter(laptop, password), 'second step')
  })
}

test('signing out of the trusted browser itself leaves the trust', async () => {
  await laptop.post('/logout', {})
  assert.equal(await enter(laptop), 'in')
})

test('strangers and other sites end no trust', async () => {
  const foreign = await home.post('/settings/trusted-browsers/removal', {}, { origin: 'https://evil.test' })
  assert.equal(foreign.status, 403)
  const stranger = await new Browser(server.url).post('/settings/trusted-browsers/removal', {})
  assert.equal(stranger.headers.get('location'), '/login')
  await laptop.post('/logout', {})
  assert.equal(await enter(laptop), 'in')
})

test('the new recovery codes are downloaded as a text file, and only they', async () => {
  const page = await readPage(await home.post(`${FACTORS}/recovery-codes`, {}))
  const shown = recoveryCodesOn(page)
  const form = page.forms.find(({ buttons }) => buttons.includes('Download'))
  assert.equal(form?.fields['codes'], shown.join(' '))
  const { action } = form
  const response = await home.post(action, { codes: shown.join(' ') })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
  assert.match(
    response.headers.get('content-disposition') ?? '',
    /^attachment; filename=recovery-codes-localhost-\d+\.txt$/,
  )
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const text = await response.text()
  assert.deepEqual(text.match(/(?:[0-9a-z]{4}-){3}[0-9a-z]{4}/g), shown)
  assert.match(text, new RegExp(`Recovery codes of ${person.username} for localhost`))

  // Neither text of another's choice, nor codes that were replaced, nor those of another account.
  for (const wrong of ['hello', '', codes.join(' '), `${shown.join(' ')} more`, `${shown[0]} ${shown[0]} x`]) {
    const refused = await home.post(action, { codes: wrong })
    assert.equal(refused.headers.get('location'), FACTORS, wrong)
  }
  assert.equal((await home.post(action, {})).status, 400)
  for (const code of shown) assert.equal(server.log().includes(code), false)
})

async function changePassword(browser: Browser): Promise<void> {
  const fields = {
    current_password: person.password,
    password: NEW_PASSWORD,
    password_confirmation: NEW_PASSWORD,
  }
  assert.equal((await browser.post('/settings/password', fields)).headers.get('location'), '/settings')
}

async function succeed(answer: Promise<Response>): Promise<void> {
  assert.ok([200, 303].includes((await answer).status))
}
