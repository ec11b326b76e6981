import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linksIn } from '../testing/mail/links.ts'
import { elementsOf } from '../testing/browser/page.ts'
import { compose } from './composition.ts'
import type { MailContent } from './mail-content.ts'
import {
  accountErased,
  accountExists,
  emailChangedToNew,
  emailChangedToOld,
  confirmNewEmail,
  erasureAhead,
  familyEndedForFault,
  familyEndedForReuse,
  type MailClient,
  passwordChanged,
  passwordResetLink,
  secondFactorAdded,
  secondFactorRemoved,
  signInLink,
  unfamiliarSignIn,
  verifyEmail,
} from './messages.ts'

/** Text that another person may have chosen. */
interface Names {
  username: string
  typed: string
  app: string
  factor: string
  browser: string
  region: string
}

const names: Names = {
  username: 'ada',
  typed: 'lovelace',
  app: 'Notes',
  factor: 'passkey “Laptop”',
  browser: 'Firefox on Linux',
  region: 'London',
}
const hostile = `"><img src=x onerror=alert(1)>&amp;<a href='https://evil.example'>`
const hostileNames = Object.fromEntries(Object.keys(names).map((name) => [name, hostile])) as unknown as Names

const ORIGIN = 'https://id.example.test'
const when = '21 Nov 2026, 15:25 UTC'
const later = '21 Nov 2026, 16:40 UTC'
const date = '5 Dec 2026'

function everyMessage({ username, typed, app, factor, browser, region }: Names): Record<string, MailContent> {
  const client: MailClient = { browser, address: '192.0.2.1', region }
  const change = { username, from: 'ada@old.test', to: 'countess@new.test', when, client }
  const factorChange = { username, factor, when, client, url: `${ORIGIN}/settings` }
  return {
    verifyAddress: verifyEmail({ username, url: `${ORIGIN}/verify-email/t`, hours: 24 }),
    accountExists: accountExists({
      username,
      typedUsername: typed,
      signInUrl: `${ORIGIN}/login`,
      forgottenPasswordUrl: `${ORIGIN}/forgot-password`,
    }),
    resetPassword: passwordResetLink({ username, url: `${ORIGIN}/reset-password/t`, minutes: 60, client }),
    signInLink: signInLink({ username, url: `${ORIGIN}/login/mail/t`, minutes: 10, client }),
    passwordChanged: passwordChanged({ username, when, client, forgottenPasswordUrl: `${ORIGIN}/forgot-password` }),
    confirmNewAddress: confirmNewEmail({ username, url: `${ORIGIN}/verify-email/t`, hours: 1 }),
    addressChangedToOld: emailChangedToOld(change),
    addressChangedToNew: emailChangedToNew(change),
    unfamiliarSignIn: unfamiliarSignIn({ username, when, client, url: `${ORIGIN}/not-me/t` }),
    familyEndedForReuse: familyEndedForReuse({
      username,
      app,
      opened: { when, client },
      reused: { when: later, client: { browser: 'curl', address: '203.0.113.9' } },
      url: `${ORIGIN}/activity`,
    }),
    familyEndedForFault: familyEndedForFault({
      username,
      app,
      opened: { when, client },
      endedWhen: later,
      url: `${ORIGIN}/activity`,
    }),
    secondFactorAdded: secondFactorAdded(factorChange),
    secondFactorRemoved: secondFactorRemoved(factorChange),
    erasureAhead: erasureAhead({ username, date, client, url: `${ORIGIN}/login` }),
    accountErased: accountErased({ username, date }),
  }
}

const messages = everyMessage(names)
const hostileMessages = everyMessage(hostileNames)

test('every message has a subject of its own', () => {
  const subjects = Object.values(messages).map(({ subject }) => subject)
  assert.equal(new Set(subjects).size, subjects.length)
})

for (const [kind, message] of Object.entries(messages)) {
  test(`${kind} says the same in text and in HTML`, async () => {
    const { text, html } = await compose(message)
    const said = [text, html].map((form) => wordsOf(form))
    const { heading, paragraphs, facts = [], buttons = [], closing = [] } = message
    for (const words of [
      heading,
      ...paragraphs,
      ...closing,
      ...facts.flat(),
      ...buttons.flatMap(({ label, url }) => [label, url]),
    ])
      for (const form of said) assert.ok(form.includes(wordsOf(words)), words)
  })

  test(`${kind} says whose account it is about, and what to do or to leave`, () => {
    assert.deepEqual(message.facts?.[0], ['Account', 'ada'])
    assert.notEqual(message.closing?.length ?? 0, 0)
  })

  test(`${kind} has its links alone on their lines, and in HTML nothing else that is loaded or led to`, async () => {
    const { text, html } = await compose(message)
    const urls = (message.buttons ?? []).map(({ url }) => url)
    assert.deepEqual(linksIn(text), urls)
    const led = [...html.matchAll(/ (?:href|src|action|background|srcset|poster|data)="([^"]*)"/g)].map(
      (match) => match[1],
    )
    assert.deepEqual(
      led,
      urls.flatMap((url) => [url, url]),
    )
    assert.doesNotMatch(html, /<(img|script|link|iframe|object|form|video|meta http-equiv)|url\(|@import/)
  })

  test(`${kind} has no line of more than 72 characters but its links`, async () => {
    const { text } = await compose(message)
    for (const line of text.split('\n')) assert.ok(line.length <= 72 || linksIn(line).length === 1, line)
  })

  test(`${kind} takes the words of others as words, and none into its subject or heading`, async () => {
    const spoilt = hostileMessages[kind] as MailContent
    assert.equal(spoilt.subject, message.subject)
    assert.equal(spoilt.heading, message.heading)
    assert.deepEqual(spoilt.paragraphs, message.paragraphs)
    const { text, html } = await compose(spoilt)
    assert.deepEqual(elementsOf(html), elementsOf((await compose(message)).html))
    assert.deepEqual(linksIn(text), linksIn((await compose(message)).text))
    assert.doesNotMatch(text, /evil\.example/)
  })
}

test('the mail about refresh token reuse names both clients', async () => {
  const { text } = await compose(messages['familyEndedForReuse'] as MailContent)
  for (const fact of [
    'App: Notes',
    `Connected: ${when}`,
    'Connected from: Firefox on Linux',
    'Address: 192.0.2.1 (near London)',
    `Came back: ${later}`,
    'Came back from: curl',
    'Address: 203.0.113.9',
  ])
    assert.ok(text.split('\n').includes(fact), fact)
})

test('each of two e-mail addresses sees the other masked', async () => {
  const toOld = await compose(messages['addressChangedToOld'] as MailContent)
  const toNew = await compose(messages['addressChangedToNew'] as MailContent)
  assert.match(toOld.text, /^New address: c•••@/m)
  assert.match(toNew.text, /^Old address: a•••@/m)
  assert.doesNotMatch(toOld.text + toOld.html, /countess/)
  assert.doesNotMatch(toNew.text + toNew.html, /ada@/)
})

test('one hour is not hours', () => {
  assert.ok(messages['confirmNewAddress']?.closing?.some((sentence) => sentence.includes('for 1 hour.')))
  assert.ok(messages['verifyAddress']?.closing?.some((sentence) => sentence.includes('for 24 hours.')))
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
}
