import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readAuditSeal } from '../../domain/audit/seal.ts'
import { sealAuditLog } from '../../domain/audit/sealing.ts'
import { blockIp } from '../../domain/limits/ip-blocks.ts'
import { writeCounts } from '../../domain/statistics.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { readPage } from '../../testing/browser/page.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const password = 'a long enough password'
const NOTIFICATION = '00000000-0000-4000-8000-0000000000aa'
const MAIL = '00000000-0000-4000-8000-0000000000bb'
const clock = createClock()

let server: TestServer
let admin: Browser
let support: Browser
let adminId: string

before(async () => {
  // What waits stays where it is.
  server = await startTestServer({ clock, env: { IN_PROCESS_WORKER: 'false' } })
  await server.addApp('notes', { ...notesApp, backchannelLogoutUri: 'https://notes.example.test/logouts' })
  ;({ browser: admin, id: adminId } = await operator('root', 'admin'))
  ;({ browser: support } = await operator('helpdesk', 'support'))
  const { pool } = server.services.storage
  await pool.query(
    `INSERT INTO notices (id, kind, client_id, family_id, identity_id, happened_at, attempts, problem, given_up_at)
     VALUES ($1, 'logout', 'notes', $2, $2, $3, 7, 'answered <500>', $3)`,
    [NOTIFICATION, adminId, clock()],
  )
  await pool.query(
    `INSERT INTO failed_mails (id, identity_id, kind, recipient, payload, problem, failed_at)
     VALUES ($1, $2, 'test', 'root@example.test', $3, 'the mail server answered 550 to RCPT TO', $4)`,
    [MAIL, adminId, { kind: 'test', identityId: adminId, at: clock().toISOString() }, clock()],
  )
})
after(() => server.close())

async function operator(name: string, role: string): Promise<{ browser: Browser; id: string }> {
  const person = { username: name, email: `${name}@example.test`, password }
  const id = await server.addIdentity(person, { roles: [role], emailVerified: true })
  const browser = new Browser(server.url)
  await browser.signIn(person)
  await addTotp(browser, clock())
  return { browser, id }
}

async function audited(kind: string): Promise<{ actor: string; detail: string | null }[]> {
  const { rows } = await server.services.storage.pool.query<{ actor: string; detail: string | null }>(
    'SELECT actor, detail FROM audit_events WHERE kind = $1 AND actor_id = $2 AND actor_address IS NOT NULL ORDER BY id',
    [kind, adminId],
  )
  return rows
}

/** Seals what was written. @returns the newest checkpoint */
async function sealAll(): Promise<{ number: string; hash: string }> {
  while ((await sealAuditLog(server.services)) > 0);
  const { newest } = await readAuditSeal(server.services)
  assert.ok(newest)
  return newest
}

/** Asks with the page of a change, sends its form, and follows. @returns the flash message */
async function change(path: string, fields: Record<string, string> = {}): Promise<string | null> {
  const asked = await readPage(await admin.get(path))
  const form = asked.forms.find(({ method, buttons }) => method === 'post' && !buttons.includes('Sign out'))
  assert.ok(form, path)
  const sent = await admin.post(form.action, { ...form.fields, ...fields })
  assert.equal(sent.status, 303, path)
  return (await readPage((await admin.follow(sent)).response)).notice
}

test('the overview draws what was counted, and its table has the same numbers', async () => {
  server.services.tally.take()
  await server.services.storage.pool.query('TRUNCATE tallies')
  const { tally } = server.services
  tally.count('sign_in', '', 41)
  tally.count('failed_sign_in', '', 7)
  tally.count('refresh', 'notes', 12_345)
  await writeCounts(server.services)
  const page = await readPage(await support.get('/admin'))
  assert.equal(page.status, 200)
  const plot = /<figure[^>]*aria-labelledby="sign-ins-name"[\s\S]*?<\/figure>/.exec(page.html)?.[0] ?? ''
  assert.match(plot, /<svg[^>]*role="img"[\s\S]*<desc[^>]*>successful: 41 in all, at most 41\. failed: 7 in all/)
  assert.equal(plot.match(/<path class="mark"/g)?.length, 24 * 2 + 2)
  assert.match(plot, /<tfoot>[\s\S]*<td>41<\/td><td>7<\/td>/)
  assert.equal(plot.match(/<tr><th scope="row">/g)?.length, 25)
  assert.match(page.html, /<td>12,345<\/td>/)
  assert.doesNotMatch(page.html, /<script/)
  assert.match(page.text, /One mail was given up/)
  assert.match(page.text, /One notification to notes was given up/)
  const checks = await readPage(await admin.get('/admin/doctor'))
  assert.match(checks.html, /<code class="admin-line">gatehouse notification resend --app notes<\/code>/)
  assert.match(checks.text, /Checked: settings, .*public URL, apps/)
  assert.match(page.text, /There is one administrator alone/)
  // Of one app, and other times; what is no range is the day.
  for (const query of ['range=hour', 'range=month&app=notes', 'app=none', 'range=x', 'range=day&range=hour', 'app=%00'])
    assert.ok([200, 422].includes((await admin.get(`/admin?${query}`)).status), query)
  const ofApp = await readPage(await admin.get('/admin?app=notes'))
  assert.doesNotMatch(ofApp.html, /sign-ins-name/)
  assert.match(ofApp.html, /<td>12,345<\/td>/)
})

test('the audit log says who did what, is filtered, and goes on', async () => {
  const events = Array.from({ length: 60 }, (_, number) => ({
    kind: 'roles_changed' as const,
    identityId: adminId,
    detail: `<b>${number}</b>`,
    actor: { name: 'mallory', id: null, address: '192.0.2.77' },
  }))
  await insertAuditEvents(server.services.storage.pool, events, clock())
  const page = await readPage(await support.get('/admin/audit?operator=mallory'))
  assert.match(page.text, /The roles of root were changed: <b>59<\/b> by the operator mallory from 192\.0\.2\.77|59/)
  assert.doesNotMatch(page.html, /<b>59/)
  const next = /href="(\/admin\/audit\?[^"]*cursor[^"]*)"/
    .exec(page.html)?.[1]
    ?.replaceAll('&#38;', '&')
    .replaceAll('&amp;', '&')
  const rest = await readPage(await admin.get(next ?? ''))
  assert.equal(page.html.match(/roles_changed<\/code>/g)?.length, 50)
  assert.equal(rest.html.match(/roles_changed<\/code>/g)?.length, 10)
  const wrong = await readPage(await admin.get('/admin/audit?identity=no-such-person'))
  assert.equal(wrong.status, 422)
  assert.match(wrong.text, /there is no identity no-such-person/)
  for (const query of ['from=x', 'to=2026-01-01T00:00&to=2026', 'cursor=x', 'kind=%00', `kind=${'x'.repeat(2000)}`])
    assert.ok([200, 422].includes((await admin.get(`/admin/audit?${query}`)).status), query)
  assert.equal((await admin.get('/admin/audit?from=2026-01-01T00:00&to=2099-12-31T23:59')).status, 200)
})

test('the audit log says up to when it is sealed, and when events have waited too long for it', async () => {
  const sealed = async () =>
    /class="muted admin-seal">(.*?)</.exec((await readPage(await admin.get('/admin/audit'))).html)?.[1]
  const unsealed = async () =>
    /^gatehouse_audit_unsealed_seconds (\d+)/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]
  assert.equal(await sealed(), 'Nothing is sealed yet.')
  const { number, hash } = await sealAll()
  assert.ok((await sealed())?.endsWith(`. Newest checkpoint: ${number}:${hash}`))
  assert.equal(await unsealed(), '0')

  await insertAuditEvents(server.services.storage.pool, [{ kind: 'signed_out' }], clock())
  clock.advance(301)
  assert.match((await sealed()) ?? '', /^Events since .* are not sealed: the worker has not run/)
  await sealAll()
  assert.match((await sealed()) ?? '', /^Sealed up to /)
})

test('the audit log is downloaded with the filters of its page, as two kinds of files', async () => {
  const csv = await support.get('/admin/audit/export?operator=mallory&format=csv')
  assert.equal(csv.headers.get('content-type'), 'text/csv; charset=utf-8')
  assert.match(csv.headers.get('content-disposition') ?? '', /^attachment; filename="?audit-log\.csv"?$/)
  assert.equal((await csv.text()).split('\r\n').length, 62)
  const lines = (await (await admin.get('/admin/audit/export?operator=mallory&format=jsonl')).text()).trim().split('\n')
  assert.deepEqual(lines.map((line) => (JSON.parse(line) as { detail: string }).detail).slice(0, 2), [
    '<b>59</b>',
    '<b>58</b>',
  ])
})

test('a block is found and lifted, once', async () => {
  await blockIp(server.services, '198.51.100.7', 100)
  await blockIp(server.services, '2001:db8:1:2::7', 100)
  const page = await readPage(await support.get('/admin/blocks?search=2001'))
  assert.match(page.text, /2001:db8:1:2::\/64/)
  assert.doesNotMatch(page.text, /198\.51/)
  assert.doesNotMatch(page.html, /lifting/)
  assert.match(
    (await change('/admin/blocks/lifting?address=2001%3Adb8%3A1%3A2%3A%3A%2F64')) ?? '',
    /2001:db8:1:2::\/64 is lifted/,
  )
  assert.equal((await admin.post('/admin/blocks/lifting', { address: '2001:db8:1:2::1' })).status, 404)
  for (const address of ['', 'nothing', '1.2.3.4.5', 'x'.repeat(99)])
    assert.equal((await admin.post('/admin/blocks/lifting', { address })).status, 422, address)
  assert.equal((await audited('suspension_lifted')).length, 1)
})

test('failed mails and notifications are shown, and sent again', async () => {
  const page = await readPage(await support.get('/admin/queues'))
  assert.match(page.text, /Test mail root@example\.test .* the mail server answered 550 to RCPT TO/)
  assert.doesNotMatch(page.html, /resend|test-mail/)
  const list = await readPage(await support.get('/admin/queues/notifications?app=notes&state=given-up'))
  assert.match(list.text, /Sign-out given up notes .* tried 7 times answered <500>/)
  assert.doesNotMatch(list.html, /answered <500>/)
  assert.match((await change(`/admin/queues/mails/${MAIL}/resend`)) ?? '', /sent again/)
  clock.advance(61)
  assert.equal((await admin.post(`/admin/queues/mails/${MAIL}/resend`, {})).status, 404)
  assert.match((await change('/admin/queues/resend')) ?? '', /There was no mail/)
  assert.match((await change('/admin/queues/test-mail')) ?? '', /on its way to root@example\.test/)
  assert.match((await change('/admin/queues/notifications/resend?app=notes')) ?? '', /1 notification is sent again/)
  assert.match((await change('/admin/queues/notifications/resend?app=no-such-app')) ?? '', /no notification/)
  const one = `/admin/queues/notifications/resend`
  assert.equal((await admin.post(one, { app: 'notes', notification: NOTIFICATION })).status, 404)
  assert.equal((await admin.post(one, { app: 'notes', notification: 'x' })).status, 422)
  assert.equal((await admin.get('/admin/queues/notifications?state=lost')).status, 422)
  assert.equal((await audited('mails_resent')).length, 1)
  assert.equal((await audited('test_mail_sent')).length, 1)
  assert.deepEqual(await audited('notices_resent'), [{ actor: 'root', detail: '1' }])
})

test('keys are rotated, at a time of the future, and one is revoked', async () => {
  assert.match((await change('/admin/keys/rotation')) ?? '', /The new keys are published/)
  const later = new Date(clock().getTime() + 7 * 86_400_000).toISOString().slice(0, 16)
  await change('/admin/keys/rotation', { signs_from: later })
  for (const signs_from of ['2020-01-01T00:00', '2999-01-01T00:00', 'soon']) {
    const refused = await readPage(await admin.post('/admin/keys/rotation', { signs_from }))
    assert.equal(refused.status, 422)
    assert.match(refused.text, /Enter a time/)
  }
  assert.equal((await audited('signing_keys_rotated')).length, 2)
  const page = await readPage(await admin.get('/admin/keys'))
  assert.equal(page.html.match(/>next</g)?.length, 6)
  assert.equal(page.html.match(/>signing</g)?.length, 3)
  const kid = server.services.keys.signer('EdDSA').kid
  const asked = await readPage(await admin.get(`/admin/keys/${kid}/revocation`))
  assert.match(asked.text, /Nothing that this key signed is valid any more/)
  assert.match((await change(`/admin/keys/${kid}/revocation`)) ?? '', new RegExp(`${kid} is revoked`))
  clock.advance(61)
  assert.ok([409, 422].includes((await admin.post(`/admin/keys/${kid}/revocation`, {})).status))
  assert.equal((await admin.get('/admin/keys/no-such-key/revocation')).status, 404)
  assert.deepEqual(await audited('signing_key_revoked'), [{ actor: 'root', detail: kid }])
})

test('support changes nothing there, and sees no keys', async () => {
  for (const path of [
    '/admin/keys',
    '/admin/keys/rotation',
    '/admin/queues/test-mail',
    '/admin/blocks/lifting?address=192.0.2.1',
  ])
    assert.equal((await support.get(path)).status, 403, path)
  for (const path of [
    '/admin/keys/rotation',
    '/admin/keys/x/revocation',
    '/admin/queues/test-mail',
    '/admin/queues/resend',
    `/admin/queues/mails/${MAIL}/resend`,
    '/admin/queues/notifications/resend',
    '/admin/blocks/lifting',
  ])
    assert.equal((await support.post(path, {})).status, 403, path)
})
