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

/** Where the language switch of a page leads back to. */
async function pathOf(page: Response): Promise<string | undefined> {
  return / name="path" value="([^"]*)"/.exec(await page.text())?.[1]?.replaceAll('&amp;', '&')
}

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

test('the switch of a failed form leads back to the form and to the app', async () => {
  const browser = new Browser(server.url)
  const app = '/interaction/0b8d2f4e?client_id=notes'
  const onWay = `/login?return_to=${encodeURIComponent(app)}`
  const failing = async (path: string, fields: Record<string, string>, referer?: string) =>
    pathOf(await browser.post(path, fields, referer === undefined ? {} : { referer: server.url + referer }))
  assert.equal(await failing('/login', { login: 'ada', password: 'wrong' }, '/login'), '/login')
  assert.equal(await failing('/login', { login: 'ada', password: 'wrong', return_to: app }, app), app)
  // Without a Referer, and with one that the browser has shortened.
  assert.equal(await failing('/login', { login: 'ada', password: 'wrong', return_to: app }), onWay)
  assert.equal(await failing('/login', { login: 'ada', password: 'wrong', return_to: app }, '/'), onWay)
  assert.equal(await failing('/login', { login: '', password: '', return_to: '//evil.test' }), '/login')
  assert.equal(await failing('/forgot-password', { email: '' }), '/forgot-password')
  const elsewhere = { referer: 'https://evil.test/login?x=1' }
  assert.equal(await pathOf(await browser.post('/login', { login: '', password: '' }, elsewhere)), '/login')
})

test('the choice on a page wins over the wish of the app, at every step of the way', async () => {
  const browser = new Browser(server.url)
  const chosen = async (path: string) =>
    (await browser.post('/language', { locale: 'fr', path })).headers.get('location')
  const app = '/interaction/0b8d2f4e?client_id=notes&locale=de'
  const next = encodeURIComponent('/interaction/0b8d2f4e?client_id=notes')
  for (const page of ['/login', '/register', '/forgot-password'])
    assert.equal(await chosen(`${page}?return_to=${encodeURIComponent(app)}`), `${page}?return_to=${next}`)
  assert.equal(await chosen('/dashboard?q=a?b'), '/dashboard?q=a?b')
})

test('pages of the protocol have the switch, and it wins over ui_locales', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const pages = [
    '/oauth/logout?state=x',
    '/oauth/authorize?client_id=nope',
    '/oauth/authorize/lost',
    '/oauth/logout/success',
  ]
  for (const page of pages) {
    const german = await browser.get(`${page}${page.includes('?') ? '&' : '?'}ui_locales=de`)
    assert.equal(languageOf(await german.clone().text()), 'de', page)
    const back = await browser.post('/language', { locale: 'fr', path: (await pathOf(german)) ?? '' })
    assert.equal(back.headers.get('location'), page)
    assert.equal(languageOf(await (await browser.get(page)).text()), 'fr', page)
  }
})

test('an address of the protocol that is only for forms, loaded by itself, is an error page in a language', async () => {
  const german = { 'Accept-Language': 'de' }
  for (const path of ['/oauth/logout/confirm', '/oauth/authorize/x/y']) {
    const answer = await fetch(server.url + path, { headers: german })
    assert.equal(answer.status, 404)
    assert.equal(languageOf(await answer.text()), 'de', path)
  }
  for (const path of ['/oauth/logout/success', '/oauth/authorize/x']) {
    const answer = await fetch(server.url + path, { method: 'POST', headers: { ...german, origin: server.url } })
    assert.equal(answer.status, 404)
    assert.equal(languageOf(await answer.text()), 'de', path)
  }
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
