import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { changeApp, deleteApp, disableApp, enableApp, findApp } from '../domain/apps/apps.ts'
import { END_CAUSES, type EndCause } from '../domain/endings/end-causes.ts'
import { endFamilies, endIdentitySessions } from '../domain/endings/endings.ts'
import { expireFamilies, expireIdentitySessions } from '../domain/endings/expiry.ts'
import { disableIdentity, revokeEverything } from '../domain/identities/identities.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, claimsOf, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { elsewhere, refresh } from '../testing/portal/connections.ts'
import { putConsent } from '../storage/consents.ts'
import { linkFor, linkInLast } from '../testing/mail/mails.ts'
import { waitForMail } from '../testing/mail/outbox.ts'
import { readPage } from '../testing/browser/page.ts'
import { type Receiver, startReceiver } from '../testing/network/receiver.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const DAY = 86_400
const PASSWORD = 'somebody who will be signed out'

const clock = createClock()
let server: TestServer
let notes: Client
let api: Client
let receiver: Receiver
let people = 0

before(async () => {
  server = await startTestServer({ clock })
  receiver = await startReceiver({ issuer: server.url, clientId: 'notes', clock })
  const app = { ...notesApp, backchannelLogoutUri: receiver.uri }
  notes = new Client(server.url, 'notes', await server.addApp('notes', app), CALLBACK)
  api = new Client(server.url, 'api', await server.addApp('api', notesApp), CALLBACK)
})
after(async () => {
  await receiver.close()
  await server.close()
})

/** A user with Notes in one browser, who is signed in in another one as well. */
interface Scene {
  id: string
  person: { username: string; email: string; password: string }
  browser: Browser
  other: Browser
  code: string
  tokens: Tokens
  fam: string
}

async function setScene(): Promise<Scene> {
  const username = `somebody${++people}`
  const person = { username, email: `${username}@example.test`, password: PASSWORD }
  const id = await server.addIdentity(person)
  const [browser, other] = [new Browser(server.url), new Browser(server.url)]
  await browser.signIn(person)
  await other.signIn(person)
  const code = await notes.code(browser, { prompt: 'none' })
  const tokens = await tokensIn(await notes.exchange(code))
  return { id, person, browser, other, code, tokens, fam: claimsOf(tokens.access_token)['fam'] as string }
}

/** Every way a family can end, as it comes about outside. */
const WAYS: Record<EndCause, (scene: Scene) => Promise<unknown>> = {
  signed_out: ({ browser }) => browser.post('/logout', {}),
  signed_out_everywhere: ({ other }) => other.post('/logout', { everywhere: 'yes' }),
  other_sign_ins_ended: ({ other }) => other.post('/sessions/revocation', {}),
  ended_by_person: ({ other, fam }) => other.post(`/families/${fam}/revocation`, {}),
  disconnected: ({ other }) => other.post('/apps/notes/disconnection', {}),
  access_withdrawn: async ({ id, other }) => {
    const consent = { identityId: id, clientId: 'notes', scopes: ['openid'], resources: {} }
    await putConsent(server.services.storage.pool, consent, clock())
    await other.post('/apps/notes/withdrawal', {})
  },
  session_ended: async ({ other }) => {
    const { forms } = await readPage(await other.get('/sessions'))
    const { action } = forms.find(({ action: path }) => /^\/sessions\/[\w-]{36}\//.test(path)) ?? { action: '' }
    await other.post(action, {})
  },
  signed_in_again: async ({ browser }) => {
    const next = { username: `next${++people}`, email: `next${people}@example.test`, password: PASSWORD }
    await server.addIdentity(next)
    await browser.signIn(next)
  },
  // The app is told when what took its place ends, too.
  replaced: async ({ browser }) => {
    clock.advance(300)
    await notes.connect(browser, { prompt: 'none' })
    await browser.post('/logout', {})
  },
  revoked_by_app: ({ tokens }) => notes.revoke(tokens.refresh_token),
  signed_out_by_app: async ({ browser, tokens }) => {
    const page = await readPage(await browser.get(`/oauth/logout?id_token_hint=${tokens.id_token}`))
    const [form] = page.forms
    await browser.post(form?.action ?? '', { ...form?.fields, logout: 'yes' })
  },
  signed_out_by_provider: async ({ id }) => {
    await endIdentitySessions(server.services, { identityId: id }, 'signed_out_by_provider', null)
  },
  password_changed: ({ other }) => {
    const password = 'another password that is long'
    const fields = { current_password: PASSWORD, password, password_confirmation: password }
    return other.post('/settings/password', fields)
  },
  password_reset: async ({ id, person }) => {
    const path = await linkFor(server.services, 'reset-password', { identityId: id, email: person.email })
    const password = 'another password that is long'
    await new Browser(server.url).post(path, { password, password_confirmation: password })
  },
  reuse: async ({ tokens }) => {
    const { refresh_token: next } = await tokensIn(await notes.refresh(tokens.refresh_token))
    await notes.refresh(next)
    clock.advance(31)
    await refresh(server.services, { clientId: 'notes', refreshToken: tokens.refresh_token }, { clientInfo: elsewhere })
  },
  own_reuse: async ({ tokens }) => {
    const { refresh_token: next } = await tokensIn(await notes.refresh(tokens.refresh_token))
    await notes.refresh(next)
    clock.advance(31)
    await notes.refresh(tokens.refresh_token)
  },
  code_reuse: ({ code }) => notes.exchange(code),
  disowned: async ({ person }) => {
    await new Browser(server.url).signIn(person)
    await new Browser(server.url).post(await linkInLast(server, 'unfamiliar-sign-in'), {})
  },
  expired: async ({ tokens }) => {
    let token = tokens.refresh_token
    for (let month = 0; month < 4; month++) {
      const response = await notes.refresh(token)
      token = ((await response.json()) as Tokens).refresh_token
      clock.advance(24 * DAY)
    }
    await expireFamilies(server.services)
  },
  idle_expired: async () => {
    clock.advance(30 * DAY)
    await expireFamilies(server.services)
  },
  session_expired: async () => {
    clock.advance(14 * DAY)
    await expireIdentitySessions(server.services)
  },
  identity_disabled: ({ id }) => disableIdentity(server.services, id),
  identity_deleted: ({ other, person }) => other.post('/settings/deletion', { username: person.username }),
  app_disabled: async () => disableApp(server.services, await registered()),
  app_deleted: async () => deleteApp(server.services, await registered()),
  moved: ({ fam }) => endFamilies(server.services, { id: fam }, 'moved', null),
  operator: ({ id }) => revokeEverything(server.services, id),
}

for (const [cause, { reason }] of Object.entries(END_CAUSES)) {
  test(`after ${cause}, the next refresh says ${reason}, the token is inactive, and the app is told`, async () => {
    await changeApp(server.services, await registered(), {
      familyLifetime: cause === 'session_expired' ? 'session' : null,
    })
    const scene = await setScene()
    assert.equal((await api.introspect(scene.tokens.access_token))['active'], true)
    const told = receiver.logouts.length

    await WAYS[cause as EndCause](scene)

    const introspected = await api.introspect(scene.tokens.access_token)
    const inactive = reason === 'identity_disabled' || reason === 'app_disabled' ? reason : 'family_ended'
    assert.deepEqual(introspected, { active: false, reason: inactive })
    // Which of its tokens an app presents tells it nothing else; the last one is the one it would present.
    const refused = await notes.refresh(scene.tokens.refresh_token)
    const refusal = (await refused.json()) as Record<string, unknown>
    assert.deepEqual([refused.status, refusal['error'], refusal['reason']], [400, 'invalid_grant', reason])

    await receiver.waitForLogouts(told + 1)
    const claims = receiver.logouts.slice(told).find(({ fam }) => fam === scene.fam)
    assert.ok(claims, 'the app was told of something else')
    const { sid } = claimsOf(scene.tokens.id_token)
    assert.ok(sid)
    assert.deepEqual([claims.sub, claims.sid], [scene.id, sid])
    const { rows } = await server.services.storage.pool.query('SELECT end_cause FROM families WHERE id = $1', [
      scene.fam,
    ])
    assert.deepEqual(rows, [{ end_cause: cause }])

    if (reason === 'reused') await waitForMail(server.mailFolder, scene.person.email, 'An app was signed out')
    if (cause === 'app_deleted') await server.services.storage.pool.query('UPDATE apps SET deleted_at = NULL')
    if (cause === 'app_disabled' || cause === 'app_deleted') await enableApp(server.services, await registered())
  })
}

async function registered() {
  const app = await findApp(server.services, 'notes')
  assert.ok(app)
  return app
}
