import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LANGUAGES } from '../i18n/catalogues.ts'
import { textsFor } from '../i18n/texts.ts'
import { linksIn } from '../testing/mail/links.ts'
import { elementsOf } from '../testing/browser/page.ts'
import { compose } from './composition.ts'
import type { Letterhead, MailContent } from './mail-content.ts'
import { sampleMails } from './sample-mails.ts'

const ORIGIN = 'https://id.example.test'
const hostile = `"><img src=x onerror=alert(1)>&amp;<a href='https://evil.example'>`
const hostileNames = {
  username: hostile,
  typed: hostile,
  app: hostile,
  factor: hostile,
  browser: hostile,
  region: hostile,
}

function headIn(language: string, brand: Partial<Letterhead['brand']> = {}, zone: string | null = null): Letterhead {
  const name = brand.name ?? 'Example Ltd'
  return {
    texts: textsFor(language, { organisation: name, zone }),
    brand: { name, logo: null, accent: null, supportUrl: 'https://example.test/help', ...brand },
  }
}

for (const language of LANGUAGES) {
  const head = headIn(language)
  const { t } = head.texts
  const mails = sampleMails(head, ORIGIN)
  const hostileMails = sampleMails(head, ORIGIN, hostileNames)

  test(`${language}: every mail has a subject of its own`, () => {
    const subjects = Object.values(mails).map(({ subject }) => subject)
    assert.equal(new Set(subjects).size, subjects.length)
  })

  for (const [kind, mail] of Object.entries(mails)) {
    test(`${language}: ${kind} says the same in text and in HTML, in the name of the organisation`, async () => {
      const { text, html, ...rest } = await compose(mail)
      assert.deepEqual(rest, { language, logo: null })
      assert.ok(html.includes(`<html lang="${language}" dir="${head.texts.direction}">`))
      const { subject, heading, paragraphs, facts = [], links = [], closing = [] } = mail
      const said = [
        heading,
        ...paragraphs,
        ...closing,
        ...facts.flat(),
        ...links.flatMap(({ label, url }) => [label, url]),
      ]
      for (const words of [...said, 'Example Ltd', t('mail.no_reply'), t('mail.help')])
        for (const form of [text, html]) assert.ok(wordsOf(form).includes(wordsOf(words)), words)
      for (const form of [subject, text, html]) {
        assert.doesNotMatch(form, /Gatehouse/)
        assert.doesNotMatch(form, /\b(undefined|null|NaN)\b|\[object /)
        assert.doesNotMatch(form.replace(/<style>[\s\S]*<\/style>/, ''), /[{}]/, 'an unfilled placeholder')
      }
    })

    test(`${language}: ${kind} says whose account it is about, and what to do or to leave`, () => {
      // Who is invited has no account yet.
      assert.deepEqual(mail.facts?.[0], kind === 'invitation' ? undefined : [t('mail.label_account'), 'ada'])
      // There is nothing to do about a test.
      assert.equal((mail.closing?.length ?? 0) === 0, kind === 'test')
    })

    test(`${language}: ${kind} has its links alone on their lines, and in HTML nothing else that is loaded or led to`, async () => {
      const { text, html } = await compose(mail)
      const urls = (mail.links ?? []).map(({ url }) => url)
      assert.deepEqual(linksIn(text), [...urls, 'https://example.test/help'])
      const led = [...html.matchAll(/ (?:href|src|action|background|srcset|poster|data)="([^"]*)"/g)].map(
        (match) => match[1],
      )
      assert.deepEqual(led, [...urls.flatMap((url) => [url, url]), 'https://example.test/help'])
      assert.doesNotMatch(html, /<(img|script|link|iframe|object|form|video|meta http-equiv)|url\(|@import/)
    })

    test(`${language}: ${kind} has no line of more than 72 characters but its links and what has no spaces`, async () => {
      const { text } = await compose(mail)
      for (const line of text.split('\n')) assert.ok(line.length <= 72 || /^\s*\S+$/.test(line), line)
    })

    test(`${language}: ${kind} takes the words of others as words, and none into its subject or heading`, async () => {
      const spoilt = hostileMails[kind] as MailContent
      assert.equal(spoilt.subject, mail.subject)
      assert.equal(spoilt.heading, mail.heading)
      assert.deepEqual(spoilt.paragraphs, mail.paragraphs)
      const { text, html } = await compose(spoilt)
      assert.deepEqual(elementsOf(html), elementsOf((await compose(mail)).html))
      assert.deepEqual(linksIn(text), linksIn((await compose(mail)).text))
      assert.doesNotMatch(text, /evil\.example/)
    })
  }
}

const english = sampleMails(headIn('en'), ORIGIN)

test('the mail about refresh token reuse names both clients', async () => {
  const { text } = await compose(english['app-protected'] as MailContent)
  for (const fact of [
    'App: Notes',
    'Signed in: 21 Nov 2026, 15:25 UTC',
    'Signed in from: Firefox on Linux',
    'IP address: 192.0.2.1 (near London)',
    'Used again: 21 Nov 2026, 16:40 UTC',
    'Used again from: curl',
    'IP address: 203.0.113.9',
  ])
    assert.ok(text.split('\n').includes(fact), fact)
})

test('times are in the time zone of the person', async () => {
  const { text } = await compose(sampleMails(headIn('en', {}, 'Asia/Tokyo'), ORIGIN)['new-sign-in'] as MailContent)
  assert.match(text, /^When: 22 Nov 2026, 00:25$/m)
})

test('each of two e-mail addresses sees the other masked', async () => {
  const toOld = await compose(english['email-changed-old'] as MailContent)
  const toNew = await compose(english['email-changed-new'] as MailContent)
  assert.match(toOld.text, /^New address: c•••@/m)
  assert.match(toNew.text, /^Old address: a•••@/m)
  assert.doesNotMatch(toOld.text + toOld.html, /countess/)
  assert.doesNotMatch(toNew.text + toNew.html, /ada@/)
})

test('one hour is not hours', () => {
  assert.ok(english['new-email']?.closing?.some((sentence) => sentence.includes('for 1 hour.')))
  assert.ok(english['verify-email']?.closing?.some((sentence) => sentence.includes('for 24 hours.')))
})

test('the mail about a new sign-in and the page that it leads to say the same, in the same words', () => {
  const { t } = headIn('en').texts
  const { links = [], closing = [] } = english['new-sign-in'] as MailContent
  assert.deepEqual(
    links.map(({ label }) => label),
    [t('reported_sign_in.title')],
  )
  const verb = 'signs out every browser and every app, this one too, and lets you choose a new password.'
  assert.ok(closing.some((sentence) => sentence.endsWith(verb)))
  assert.ok(t('reported_sign_in.what_happens', { button: t('reported_sign_in.button') }).endsWith(verb))
})

test('a PNG logo is inside the mail, another logo is left out, and the colour of the organisation is that of the buttons', async () => {
  const bytes = Buffer.from('a picture')
  const accent = { light: { accent: '#1d4ed8', onAccent: '#ffffff' }, dark: { accent: '#80a9ff', onAccent: '#000000' } }
  const mailWith = (type: string) =>
    compose(sampleMails(headIn('en', { logo: { type, bytes }, accent }), ORIGIN)['erased'] as MailContent)
  const png = await mailWith('image/png')
  assert.equal(png.logo, bytes)
  assert.match(png.html, /<img src="cid:logo" alt="">Example Ltd/)
  assert.match(png.html, /background: #1d4ed8; color: #ffffff/)
  assert.match(png.html, /background: #80a9ff; color: #000000/)
  for (const type of ['image/svg+xml', 'image/webp']) {
    const other = await mailWith(type)
    assert.equal(other.logo, null)
    assert.doesNotMatch(other.html, /<img/)
  }
})

/** Without tags, line ends and entities. */
function wordsOf(form: string): string {
  return form
    .replace(/<style>[\s\S]*<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll('&#34;', '"')
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ')
    .replaceAll(/ (?=[:.,])/g, '')
}
