import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LANGUAGES } from '../../i18n/catalogues.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

let server: TestServer
before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
})
after(() => server.close())

const languageOf = (html: string) => /<html lang="([\w-]+)"/.exec(html)?.[1]

test('the switch in the footer leads back, and only to this portal', async () => {
  const browser = new Browser(server.url)
  const page = await (await browser.get('/forgot-password')).text()
  assert.match(page, /<form method="post" action="\/language">/)
  const leads = async (path: string) => {
    const answer = await browser.post('/language', { locale: 'en', path })
    assert.equal(answer.status, 303)
    return answer.headers.get('location')
  }
  assert.equal(await leads('/forgot-password'), '/forgot-password')
  assert.equal(await leads('/login?return_to=%2Fsettings&locale=de'), '/login?return_to=%2Fsettings')
  assert.equal(await leads('//evil.example/x'), '/')
  assert.equal(await leads('https://evil.example/'), '/')
  assert.equal(await leads(''), '/')
})

test('a language or zone that does not exist is refused in words', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  assert.equal((await browser.post('/language', { locale: 'tlh', path: '/' })).status, 400)
  assert.equal((await browser.post('/language', {})).status, 400)
  assert.equal((await browser.post('/settings/language', { locale: 'tlh', zoneinfo: '' })).status, 400)
  assert.equal((await browser.post('/settings/language', { locale: '', zoneinfo: 'Mars/Base' })).status, 400)
  assert.equal((await browser.post('/settings/language', {})).status, 400)
})

test('the time zone of the settings, then that of the browser, then UTC', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const zoneOn = async (cookie = {}) =>
    /data-zone="([^"]*)"/.exec(await (await browser.get('/activity', cookie)).text())?.[1]
  assert.equal(await zoneOn(), '')
  await browser.post('/settings/language', { locale: 'en', zoneinfo: 'Asia/Tokyo' })
  assert.equal(await zoneOn(), 'Asia/Tokyo')
  await browser.post('/settings/language', { locale: '', zoneinfo: '' })
  assert.equal(await zoneOn(), '')
})

test('ui_locales, then the setting, then the choice in this browser, then Accept-Language', async () => {
  const accepting = async (path: string, language: string) =>
    languageOf(await (await fetch(server.url + path, { headers: { 'Accept-Language': language } })).text())
  for (const language of LANGUAGES) {
    assert.equal(await accepting('/login', `${language}-XX, en;q=0.5`), language)
    assert.equal(await accepting(`/login?locale=${language}`, 'en'), language)
  }
  assert.equal(await accepting('/login', 'tlh'), 'en')
  assert.equal(await accepting('/login?locale=tlh', 'tlh'), 'en')
})
