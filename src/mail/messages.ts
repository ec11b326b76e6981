import { foreign, masked } from './foreign-text.ts'
import type { Letterhead, MailContent, MailLink } from './mail-content.ts'

// Text that other people chose (user names, app names) goes through `foreign`, and never into a subject.

/** A client in words: "Firefox on Linux", an IP address, and its GeoIP location if known. */
export interface MailClient {
  browser: string
  /** The IP address; null for an operator at the command line. */
  address: string | null
  region?: string | null
}

/** To an e-mail address that was just registered for an account. */
export function verifyEmail(head: Letterhead, facts: { username: string; url: string; hours: number }): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.verify_email.subject'),
    heading: t('mail.verify_email.heading'),
    paragraphs: [t('mail.verify_email.text')],
    facts: [account(head, facts.username)],
    links: [{ label: t('mail.verify_email.link'), url: facts.url }],
    closing: [t('mail.once_for_hours', { hours: facts.hours }), t('mail.verify_email.not_you')],
  }
}

/** To an e-mail address that an operator has invited. */
export function invitation(head: Letterhead, facts: { url: string; days: number }): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.invitation.subject'),
    heading: t('mail.invitation.heading'),
    paragraphs: [t('mail.invitation.text')],
    facts: [],
    links: [{ label: t('mail.invitation.link'), url: facts.url }],
    closing: [t('mail.invitation.once', { days: facts.days }), t('mail.invitation.not_you'), t('mail.keep_secret')],
  }
}

/** To the owner of an e-mail address that was registered again. */
export function accountExists(
  head: Letterhead,
  facts: { username: string; typedUsername: string; signInUrl: string; forgottenPasswordUrl: string },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.account_exists.subject'),
    heading: t('mail.account_exists.heading'),
    paragraphs: [t('mail.account_exists.text')],
    facts: [account(head, facts.username), [t('mail.label_other_account'), foreign(facts.typedUsername)]],
    links: [
      { label: t('mail.sign_in_link'), url: facts.signInUrl },
      { label: t('mail.forgotten_password_link'), url: facts.forgottenPasswordUrl },
    ],
    closing: [t('mail.account_exists.not_you')],
  }
}

/** To the user of an account, after a password recovery was asked for. */
export function passwordResetLink(
  head: Letterhead,
  facts: { username: string; url: string; minutes: number; client: MailClient },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.password_reset.subject'),
    heading: t('mail.password_reset.heading'),
    paragraphs: [t('mail.password_reset.text')],
    facts: [account(head, facts.username), ...clientFacts(head, facts.client)],
    links: [{ label: t('mail.password_reset.link'), url: facts.url }],
    closing: [
      t('mail.once_for_minutes', { minutes: facts.minutes }),
      t('mail.password_reset.not_you'),
      t('mail.keep_secret'),
    ],
  }
}

/** To the user of an account, after a sign-in link was asked for. */
export function signInLink(
  head: Letterhead,
  facts: { username: string; url: string; minutes: number; client: MailClient },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.sign_in.subject'),
    heading: t('mail.sign_in.heading'),
    paragraphs: [t('mail.sign_in.text')],
    facts: [account(head, facts.username), ...clientFacts(head, facts.client)],
    links: [{ label: t('mail.sign_in.link'), url: facts.url }],
    closing: [t('mail.once_for_minutes', { minutes: facts.minutes }), t('mail.sign_in.not_you'), t('mail.keep_secret')],
  }
}

/** To a user who types the code inside an app: to sign in, or to confirm the address. */
export function emailCode(
  head: Letterhead,
  facts: { username: string; code: string; minutes: number; client: MailClient },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.email_code.subject'),
    heading: t('mail.email_code.heading'),
    paragraphs: [t('mail.email_code.text')],
    facts: [
      account(head, facts.username),
      [t('mail.label_code'), facts.code],
      ...clientFacts(head, facts.client, t('mail.label_asked_from')),
    ],
    closing: [
      t('mail.email_code.once', { minutes: facts.minutes }),
      t('mail.sign_in.not_you'),
      t('mail.email_code.keep_secret'),
    ],
  }
}

/** After a password was changed or reset. */
export function passwordChanged(
  head: Letterhead,
  facts: { username: string; when: string; client: MailClient; forgottenPasswordUrl: string },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.password_changed.subject'),
    heading: t('mail.password_changed.heading'),
    paragraphs: [t('mail.password_changed.text')],
    facts: [account(head, facts.username), ...eventFacts(head, facts)],
    links: [{ label: t('mail.forgotten_password_link'), url: facts.forgottenPasswordUrl }],
    closing: [t('mail.it_was_you'), t('mail.password_changed.not_you')],
  }
}

/** After a registration with the e-mail address and the password of this account, which was a sign-in. */
export function registeredAgain(
  head: Letterhead,
  facts: { username: string; when: string; client: MailClient; forgottenPasswordUrl: string },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.registered_again.subject'),
    heading: t('mail.registered_again.heading'),
    paragraphs: [t('mail.registered_again.text')],
    facts: [account(head, facts.username), ...eventFacts(head, facts)],
    links: [{ label: t('mail.forgotten_password_link'), url: facts.forgottenPasswordUrl }],
    closing: [t('mail.it_was_you'), t('mail.registered_again.not_you')],
  }
}

/** To the new e-mail address, to confirm a change. */
export function confirmNewEmail(
  head: Letterhead,
  facts: { username: string; url: string; hours: number },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.new_email.subject'),
    heading: t('mail.new_email.heading'),
    paragraphs: [t('mail.new_email.text')],
    facts: [account(head, facts.username)],
    links: [{ label: t('mail.new_email.link'), url: facts.url }],
    closing: [t('mail.once_for_hours', { hours: facts.hours }), t('mail.new_email.not_you')],
  }
}

export interface EmailChange {
  username: string
  from: string
  to: string
  when: string
  client: MailClient
}

/** To the old e-mail address, after a change. */
export function emailChangedToOld(head: Letterhead, facts: EmailChange): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.email_changed_old.subject'),
    heading: t('mail.email_changed_old.heading'),
    paragraphs: [t('mail.email_changed_old.text')],
    facts: [account(head, facts.username), [t('mail.label_new_email'), masked(facts.to)], ...eventFacts(head, facts)],
    closing: [t('mail.it_was_you'), t('mail.email_changed_old.not_you')],
  }
}

/** To the new e-mail address, after a change. */
export function emailChangedToNew(head: Letterhead, facts: EmailChange): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.email_changed_new.subject'),
    heading: t('mail.email_changed_new.heading'),
    paragraphs: [t('mail.email_changed_new.text')],
    facts: [account(head, facts.username), [t('mail.label_old_email'), masked(facts.from)], ...eventFacts(head, facts)],
    closing: [t('mail.email_changed_new.told')],
  }
}

/** After a sign-in from an unknown browser. */
export function unfamiliarSignIn(
  head: Letterhead,
  facts: { username: string; when: string; client: MailClient; url: string },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.new_sign_in.subject'),
    heading: t('mail.new_sign_in.heading'),
    paragraphs: [t('mail.new_sign_in.text')],
    facts: [account(head, facts.username), ...eventFacts(head, facts)],
    // The heading of the page it leads to.
    links: [{ label: t('reported_sign_in.title'), url: facts.url }],
    closing: [t('mail.it_was_you'), t('mail.new_sign_in.not_you', { link: t('reported_sign_in.title') })],
  }
}

/** After refresh token reuse: one of the two clients may be a thief's. */
export function familyEndedForReuse(
  head: Letterhead,
  facts: {
    username: string
    app: string
    opened: { when: string; client: MailClient }
    reused: { when: string; client: MailClient }
    url: string
  },
): MailContent {
  const { t } = head.texts
  const { opened, reused } = facts
  return {
    ...head,
    subject: t('mail.app_protected.subject'),
    heading: t('mail.app_protected.heading'),
    paragraphs: [t('mail.app_protected.text')],
    facts: [
      account(head, facts.username),
      [t('mail.label_app'), foreign(facts.app)],
      [t('mail.label_signed_in'), opened.when],
      ...clientFacts(head, opened.client, t('mail.label_signed_in_from')),
      [t('mail.label_used_again'), reused.when],
      ...clientFacts(head, reused.client, t('mail.label_used_again_from')),
    ],
    links: [activityLink(head, facts.url)],
    closing: [t('mail.app_protected.both_known'), t('mail.app_protected.not_known')],
  }
}

/** After an authenticated app reused an old refresh token of its own: a fault of the app, not a theft. */
export function familyEndedForFault(
  head: Letterhead,
  facts: {
    username: string
    app: string
    opened: { when: string; client: MailClient }
    endedWhen: string
    url: string
  },
): MailContent {
  const { t } = head.texts
  const { opened } = facts
  return {
    ...head,
    subject: t('mail.app_fault.subject'),
    heading: t('mail.app_fault.heading'),
    paragraphs: [t('mail.app_fault.text')],
    facts: [
      account(head, facts.username),
      [t('mail.label_app'), foreign(facts.app)],
      [t('mail.label_signed_in'), opened.when],
      ...clientFacts(head, opened.client, t('mail.label_signed_in_from')),
      [t('mail.label_signed_out'), facts.endedWhen],
    ],
    links: [activityLink(head, facts.url)],
    closing: [t('mail.app_fault.again')],
  }
}

/** A second factor, and where it was added or removed. */
export interface SecondFactorChange {
  username: string
  factor: { kind: string; name: string }
  when: string
  client: MailClient
  /** Where second factors are looked after. */
  url: string
}

export function secondFactorAdded(head: Letterhead, facts: SecondFactorChange): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.factor_added.subject'),
    heading: t('mail.factor_added.heading'),
    paragraphs: [t('mail.factor_added.text')],
    ...factorDetails(head, facts),
    closing: [t('mail.it_was_you'), t('mail.factor_added.not_you')],
  }
}

export function secondFactorRemoved(head: Letterhead, facts: SecondFactorChange): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.factor_removed.subject'),
    heading: t('mail.factor_removed.heading'),
    paragraphs: [t('mail.factor_removed.text')],
    ...factorDetails(head, facts),
    closing: [t('mail.it_was_you'), t('mail.factor_removed.not_you')],
  }
}

/** An account at another provider was linked or unlinked. */
export interface AccountLinkChange {
  username: string
  when: string
  client: MailClient
  /** The name of the provider, and the e-mail address of the account there. */
  provider: string
  email: string | null
  url: string
}

export function accountLinked(head: Letterhead, facts: AccountLinkChange): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.account_linked.subject'),
    heading: t('mail.account_linked.heading'),
    paragraphs: [t('mail.account_linked.text')],
    ...linkDetails(head, facts),
    closing: [t('mail.it_was_you'), t('mail.account_linked.not_you')],
  }
}

export function accountUnlinked(head: Letterhead, facts: AccountLinkChange): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.account_unlinked.subject'),
    heading: t('mail.account_unlinked.heading'),
    paragraphs: [t('mail.account_unlinked.text')],
    ...linkDetails(head, facts),
    closing: [t('mail.it_was_you'), t('mail.account_unlinked.not_you')],
  }
}

function linkDetails(head: Letterhead, { username, provider, email, url, ...event }: AccountLinkChange) {
  const { t } = head.texts
  return {
    facts: [
      account(head, username),
      [t('mail.label_provider'), provider],
      ...(email === null ? [] : [[t('mail.label_provider_account'), foreign(email)] as [string, string]]),
      ...eventFacts(head, event),
    ],
    links: [{ label: t('linked.title'), url }],
  } satisfies Pick<MailContent, 'facts' | 'links'>
}

function factorDetails(head: Letterhead, { username, factor, url, ...event }: SecondFactorChange) {
  const { t } = head.texts
  const named = t('mail.factor', { kind: factor.kind, name: foreign(factor.name) })
  return {
    facts: [account(head, username), [t('mail.label_factor'), named], ...eventFacts(head, event)],
    links: [{ label: t('methods.title'), url }],
  } satisfies Pick<MailContent, 'facts' | 'links'>
}

/** After an account was deleted, while it can still be kept. */
export function erasureAhead(
  head: Letterhead,
  facts: { username: string; date: string; client: MailClient; url: string },
): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.erasure_ahead.subject'),
    heading: t('mail.erasure_ahead.heading'),
    paragraphs: [t('mail.erasure_ahead.text')],
    facts: [
      account(head, facts.username),
      [t('mail.label_erased_on'), facts.date],
      ...clientFacts(head, facts.client, t('mail.label_asked_from')),
    ],
    links: [{ label: t('mail.sign_in_link'), url: facts.url }],
    closing: [t('mail.erasure_ahead.wanted'), t('mail.erasure_ahead.keep')],
  }
}

/** To an administrator who tries out the mail server. */
export function testMail(head: Letterhead, facts: { username: string; when: string }): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.test.subject'),
    heading: t('mail.test.heading'),
    paragraphs: [t('mail.test.text')],
    facts: [account(head, facts.username), [t('mail.label_when'), facts.when]],
  }
}

/** The last mail to a user, after erasure. */
export function accountErased(head: Letterhead, facts: { username: string; date: string }): MailContent {
  const { t } = head.texts
  return {
    ...head,
    subject: t('mail.erased.subject'),
    heading: t('mail.erased.heading'),
    paragraphs: [t('mail.erased.text')],
    facts: [account(head, facts.username), [t('mail.label_erased_on'), facts.date]],
    closing: [t('mail.erased.apps')],
  }
}

function account({ texts }: Letterhead, username: string): [string, string] {
  return [texts.t('mail.label_account'), foreign(username)]
}

function activityLink({ texts }: Letterhead, url: string): MailLink {
  return { label: texts.t('activity.title'), url }
}

function eventFacts(head: Letterhead, { when, client }: { when: string; client: MailClient }): [string, string][] {
  return [[head.texts.t('mail.label_when'), when], ...clientFacts(head, client)]
}

function clientFacts(
  { texts: { t } }: Letterhead,
  { browser, address, region }: MailClient,
  label = t('mail.label_browser'),
): [string, string][] {
  const from: [string, string] = [label, foreign(browser)]
  if (address === null) return [from]
  const place =
    region === undefined || region === null ? address : t('mail.address_near', { address, region: foreign(region) })
  return [from, [t('mail.label_ip_address'), place]]
}
