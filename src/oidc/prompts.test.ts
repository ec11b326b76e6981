import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { notesApp } from '../testing/portal/apps.ts'
import { jsonIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { type Page, readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const PASSWORD = 'seven purple ferns at dawn'

let server: TestServer
let browser: Browser
let notes: Client
let adasId: string
let gracesId: string

before(async () => {
  server = await startTestServer()
  adasId = await server.addIdentity(ada)
  gracesId = await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
})
after(() => server.close())
beforeEach(async () => {
  browser = new Browser(server.url)
  await browser.signIn(ada)
})

async function open(prompt: string): Promise<{ url: string; page: Page }> {
  const { url, response } = await browser.follow(await browser.get(notes.authorizeUrl({ prompt })))
  return { url, page: await readPage(response) }
}

async function press(page: Page, button: string, fields: Record<string, string> = {}): Promise<URL> {
  const form = page.forms.find(({ buttons }) => buttons.includes(button))
  assert.ok(form, `no ${button} on ${page.text}`)
  return new URL((await browser.follow(await browser.post(form.action, { ...form.fields, ...fields }))).url)
}

async function subjectOf(url: URL): Promise<unknown> {
  const tokens = await tokensIn(await notes.exchange(url.searchParams.get('code') ?? ''))
  return claimsOf(tokens.id_token)['sub']
}

/** The page behind a link with these words. */
async function goTo(page: Page, words: string): Promise<Page> {
  const [, href = ''] = new RegExp(`<a [^>]*href="([^"]*)"[^>]*>${words}</a>`).exec(page.html) ?? []
  return readPage((await browser.follow(await browser.get(href.replaceAll('&amp;', '&')))).response)
}

test('the prompts that apps may ask for are advertised, and others are refused', async () => {
  const told = await jsonIn(await fetch(`${server.url}/.well-known/openid-configuration`))
  assert.deepEqual(told['prompt_values_supported'], ['none', 'login', 'consent', 'select_account', 'create'])
  for (const prompt of ['none select_account', 'none create', 'unknown']) {
    const { url } = await browser.follow(await browser.get(notes.authorizeUrl({ prompt })))
    assert.equal(new URL(url).searchParams.get('error'), 'invalid_request', prompt)
  }
})

test('a person chooses the account that is signed in', async () => {
  const { page } = await open('select_account')
  assert.match(page.heading, /Choose an account/)
  assert.match(page.text, /to continue to Notes/)
  assert.match(page.text, new RegExp(ada.email))
  assert.equal(await subjectOf(await press(page, 'Continue as ada')), adasId)
})

test('a person chooses another account, and the app gets that one', async () => {
  const { page } = await open('select_account')
  const form = await goTo(page, 'Use another account')
  assert.equal(form.forms[0]?.fields['login'], '')
  const url = await press(form, 'Sign in', { login: grace.username, password: grace.password })
  assert.equal(await subjectOf(url), gracesId)
})

test('no account chooser where no user is signed in', async () => {
  browser = new Browser(server.url)
  const { page } = await open('select_account')
  const url = await press(page, 'Sign in', { login: grace.username, password: grace.password })
  assert.equal(await subjectOf(url), gracesId)
})

test('an account is chosen before the password is asked for again, or a native app confirmed', async () => {
  const { page } = await open('login select_account')
  const chosen = await press(page, 'Continue as ada')
  const form = await readPage(await browser.get(chosen.href))
  assert.equal(await subjectOf(await press(form, 'Sign in', { login: ada.username, password: ada.password })), adasId)
})

test('who does not want to choose is led back to the app', async () => {
  const { page } = await open('select_account')
  assert.equal((await press(page, 'Cancel')).searchParams.get('error'), 'access_denied')
})

test('a choice that another site sends is refused', async () => {
  const { page } = await open('select_account')
  const action = page.forms.find(({ buttons }) => buttons.includes('Continue as ada'))?.action ?? ''
  assert.equal((await browser.post(action, {}, { origin: 'https://evil.example.test' })).status, 403)
})

test('an app that asks for an account to be made gets the new one, also where a user is signed in', async () => {
  for (const name of ['linus', 'edsger']) {
    const { page } = await open('create')
    assert.match(page.heading, /Create an account/)
    assert.match(page.text, /to continue to Notes/)
    const fields = {
      username: name,
      email: `${name}@example.test`,
      password: PASSWORD,
      password_confirmation: PASSWORD,
    }
    const url = await press(page, 'Create account', fields)
    const sub = await subjectOf(url)
    assert.equal(typeof sub, 'string')
    assert.ok(![adasId, gracesId].includes(sub as string))
    browser = new Browser(server.url)
  }
})

test('who has an account after all signs in instead', async () => {
  const { page } = await open('create')
  const form = await goTo(page, 'Sign in')
  const url = await press(form, 'Sign in', { login: grace.username, password: grace.password })
  assert.equal(await subjectOf(url), gracesId)
})
