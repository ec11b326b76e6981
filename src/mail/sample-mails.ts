import type { Letterhead, MailContent } from './mail-content.ts'
import * as messages from './messages.ts'

/** Text that other people may have chosen. */
export interface SampleNames {
  username: string
  typed: string
  app: string
  factor: string
  browser: string
  region: string
}

const NAMES: SampleNames = {
  username: 'ada',
  typed: 'lovelace',
  app: 'Notes',
  factor: 'Laptop',
  browser: 'Firefox on Linux',
  region: 'London',
}
const NOW = new Date('2026-11-21T16:45:00Z')

/** Every mail that there is, with sample data, by name: for the page that shows them in development, and for tests. */
export function sampleMails(
  head: Letterhead,
  publicUrl: string,
  names: SampleNames = NAMES,
): Record<string, MailContent> {
  const { username, typed, app, factor, browser, region } = names
  const at = (time: string) => head.texts.time(new Date(time), NOW).text
  const when = at('2026-11-21T15:25:00Z')
  const later = at('2026-11-21T16:40:00Z')
  const date = at('2026-12-05T15:25:00Z')
  const client: messages.MailClient = { browser, address: '192.0.2.1', region }
  const change = { username, from: 'ada@old.test', to: 'countess@new.test', when, client }
  const factorChange = (kind: string) => ({
    username,
    factor: { kind, name: factor },
    when,
    client,
    url: `${publicUrl}/settings/second-factors`,
  })
  const linkUrl = `${publicUrl}/settings/linked-accounts`
  const linkChange = { username, provider: 'Example ID', email: 'ada@id.test', when, client, url: linkUrl }
  const token = 'sample'
  const [url, forgottenPasswordUrl] = [`${publicUrl}/activity`, `${publicUrl}/forgot-password`]
  return {
    'verify-email': messages.verifyEmail(head, { username, url: `${publicUrl}/verify-email/${token}`, hours: 24 }),
    invitation: messages.invitation(head, { url: `${publicUrl}/invitation/${token}`, days: 7 }),
    'account-exists': messages.accountExists(head, {
      username,
      typedUsername: typed,
      signInUrl: `${publicUrl}/login`,
      forgottenPasswordUrl,
    }),
    'registered-again': messages.registeredAgain(head, { username, when, client, forgottenPasswordUrl }),
    'password-reset': messages.passwordResetLink(head, {
      username,
      url: `${publicUrl}/reset-password/${token}`,
      minutes: 60,
      client,
    }),
    'sign-in': messages.signInLink(head, { username, url: `${publicUrl}/login/mail/${token}`, minutes: 15, client }),
    'email-code': messages.emailCode(head, { username, code: '1234 5678', minutes: 10, client }),
    'password-changed': messages.passwordChanged(head, { username, when, client, forgottenPasswordUrl }),
    'new-email': messages.confirmNewEmail(head, { username, url: `${publicUrl}/verify-email/${token}`, hours: 1 }),
    'email-changed-old': messages.emailChangedToOld(head, change),
    'email-changed-new': messages.emailChangedToNew(head, change),
    'new-sign-in': messages.unfamiliarSignIn(head, { username, when, client, url: `${publicUrl}/not-me/${token}` }),
    'app-protected': messages.familyEndedForReuse(head, {
      username,
      app,
      opened: { when, client },
      reused: { when: later, client: { browser: 'curl', address: '203.0.113.9' } },
      url,
    }),
    'app-fault': messages.familyEndedForFault(head, { username, app, opened: { when, client }, endedWhen: later, url }),
    'account-linked': messages.accountLinked(head, linkChange),
    'account-unlinked': messages.accountUnlinked(head, linkChange),
    'factor-added': messages.secondFactorAdded(head, factorChange('passkey')),
    'factor-removed': messages.secondFactorRemoved(head, factorChange('totp')),
    test: messages.testMail(head, { username, when }),
    'erasure-ahead': messages.erasureAhead(head, { username, date, client, url: `${publicUrl}/login` }),
    erased: messages.accountErased(head, { username, date }),
  }
}
