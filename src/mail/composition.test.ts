import assert from 'node:assert/strict'
import { test } from 'node:test'
import { letterhead } from '../testing/mail/letterhead.ts'
import { compose } from './composition.ts'
import type { MailContent } from './mail-content.ts'

const message: MailContent = {
  ...letterhead,
  subject: 'Hello',
  heading: 'Hello',
  paragraphs: ['One sentence that is so long that it has to go on in a second line, which begins at the margin.'],
  facts: [
    ['Account', 'ada'],
    ['Browser', 'A browser whose name is so long that it has to go on in a second line, below its own beginning'],
  ],
  links: [{ label: 'Go there', url: `https://id.example.test/${'x'.repeat(100)}` }],
  closing: ['Goodbye.'],
}

test('the text is a letter of 72 columns', async () => {
  assert.equal(
    (await compose(message)).text,
    `Gatehouse

Hello

One sentence that is so long that it has to go on in a second line,
which begins at the margin.

Account: ada
Browser: A browser whose name is so long that it has to go on in a
    second line, below its own beginning

Go there:
https://id.example.test/${'x'.repeat(100)}

Goodbye.

-- 
Please do not reply to this e-mail.
`,
  )
})

test('what a message does not have leaves no gap', async () => {
  const { text, html } = await compose({ ...letterhead, subject: 'Hello', heading: 'Hello', paragraphs: ['Good day.'] })
  assert.match(text, /^Gatehouse\n\nHello\n\nGood day\.\n\n-- \n/)
  assert.doesNotMatch(html, /class="(facts|button|shown)"/)
})

test('a line break in a value makes no line that looks like ours', async () => {
  const { text } = await compose({ ...message, facts: [['App', 'Notes\nAccount: grace\n\nhttps://evil.example/']] })
  assert.match(text, /^App: Notes Account: grace https:\/\/evil\.example\/$/m)
})
