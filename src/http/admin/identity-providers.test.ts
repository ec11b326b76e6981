import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from '../../testing/browser/browser.ts'
import { formIdOf, readPage } from '../../testing/browser/page.ts'
import { ScriptedProvider } from '../../testing/network/identity-provider.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { signInOperator } from '../../testing/portal/operators.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const SECRET = 'a-secret~of/the+provider'
const PATH = '/admin/identity-providers/staff'

let server: TestServer
let provider: ScriptedProvider
let admin: Browser
let support: Browser

before(async () => {
  const clock = createClock()
  provider = new ScriptedProvider(clock)
  await provider.start()
  server = await startTestServer({ clock })
  support = await signInOperator(server, clock, 'support')
  admin = await signInOperator(server, clock, 'admin')
})
after(async () => {
  await server.close()
  await provider.close()
})

/** Sends the form of a page, and follows. */
async function send(
  path: string,
  fields: Record<string, string>,
): Promise<{ status: number; html: string; notice: string | null }> {
  const form = await readPage(await admin.get(path))
  const action = /<form class="card form[^>]* action="([^"]+)"/.exec(form.html)?.[1] ?? path
  const sent = await admin.post(action, { form_id: formIdOf(form), ...fields })
  const { html, notice } = await readPage(sent.status === 303 ? (await admin.follow(sent)).response : sent)
  return { status: sent.status, html, notice }
}

test('a provider is registered, checked, changed, disabled and deleted on pages', async () => {
  assert.match((await readPage(await admin.get('/admin/identity-providers'))).text, /There is none\./)
  const fields = {
    preset: '',
    id: 'staff',
    tenant: '',
    name: 'Staff',
    issuer: provider.issuer,
    client_id: 'portal',
    client_secret: SECRET,
    scopes: '',
    domains: 'Example.com\r\nexample.org',
    registration: 'never',
  }
  const wrong = await send('/admin/identity-providers/new', { ...fields, issuer: 'http://id.example.com' })
  assert.deepEqual([wrong.status, wrong.html.includes(SECRET)], [422, false])
  assert.match(wrong.html, /the issuer is an https address/)
  const made = await send('/admin/identity-providers/new', fields)
  assert.deepEqual([made.status, made.notice], [303, 'Staff is registered.'])
  assert.ok(made.html.includes(`${server.url}/login/with/staff/callback`))
  assert.equal(made.html.includes(SECRET), false)
  // Its button is on the sign-in page at once.
  assert.match((await readPage(await fetch(`${server.url}/login`))).html, /action="\/login\/with\/staff"/)

  const checked = await admin.follow(await admin.get(`${PATH}/check`))
  assert.equal((await readPage(checked.response)).notice, 'Staff answers.')
  const changed = await send(`${PATH}/settings`, {
    ...fields,
    name: 'Employees',
    registration: 'open',
    scopes: 'openid',
  })
  assert.deepEqual([changed.status, changed.notice], [303, 'Employees was changed.'])
  assert.equal((await send(`${PATH}/secret`, { client_secret: 'with a space' })).status, 422)
  assert.match(
    (await send(`${PATH}/secret`, { client_secret: '' })).html,
    /There is none: the portal is a public client/,
  )

  assert.equal((await send(`${PATH}/disabling`, {})).notice, 'Employees is disabled.')
  assert.doesNotMatch((await readPage(await fetch(`${server.url}/login`))).html, /login\/with\/staff/)
  const shown = await readPage(await admin.get(PATH))
  const enabled = await admin.follow(await admin.post(`${PATH}/enabling`, { form_id: formIdOf(shown) }))
  assert.equal((await readPage(enabled.response)).notice, 'Employees is enabled.')
  assert.equal((await send(`${PATH}/deletion`, {})).notice, 'Employees was deleted.')
  assert.equal((await admin.get(PATH)).status, 404)
})

test('support reads what is registered, and changes nothing', async () => {
  const page = await readPage(await support.get('/admin/identity-providers'))
  assert.doesNotMatch(page.html, /identity-providers\/new/)
  for (const path of ['/admin/identity-providers/new', `${PATH}/settings`, `${PATH}/check`])
    assert.equal((await support.get(path)).status, 403, path)
})
