import { foreign, masked } from './foreign-text.ts'
import type { MailContent } from './mail-content.ts'

// Text that other people chose (user names, app names) goes through `foreign`, and never into a subject.

/** A client in words: "Firefox on Linux", an IP address, and its GeoIP location if known. */
export interface MailClient {
  browser: string
  /** The IP address; null for an operator at the command line. */
  address: string | null
  region?: string | null
}

/** To an e-mail address that was just registered for an account. */
export function verifyEmail(facts: { username: string; url: string; hours: number }): MailContent {
  return {
    subject: 'Confirm your address for Gatehouse',
    heading: 'Confirm your address',
    paragraphs: [
      'A Gatehouse account was created with this address. Confirm that it is yours, so that your apps can rely on it and you can get back in if you forget your password.',
    ],
    facts: [account(facts.username)],
    buttons: [{ label: 'Confirm this address', url: facts.url }],
    closing: [
      `The link works once, for ${count(facts.hours, 'hour')}.`,
      'If you did not create this account, ignore this message: without you, the address stays unconfirmed.',
    ],
  }
}

/** To the owner of an e-mail address that was registered again. */
export function accountExists(facts: {
  username: string
  typedUsername: string
  signInUrl: string
  forgottenPasswordUrl: string
}): MailContent {
  return {
    subject: 'You already have a Gatehouse account',
    heading: 'You already have an account',
    paragraphs: [
      'Someone, perhaps you, created another Gatehouse account and gave this address for it. The address stays with your account: the other one cannot use it.',
    ],
    facts: [account(facts.username), ['The other account', foreign(facts.typedUsername)]],
    buttons: [
      { label: 'Sign in', url: facts.signInUrl },
      { label: 'I forgot my password', url: facts.forgottenPasswordUrl },
    ],
    closing: [
      'If it was not you, you need not do anything. The other person has not learned that you have an account.',
    ],
  }
}

/** To the user of an account, after a password recovery was asked for. */
export function passwordResetLink(facts: {
  username: string
  url: string
  minutes: number
  client: MailClient
}): MailContent {
  return {
    subject: 'Choose a new Gatehouse password',
    heading: 'Choose a new password',
    paragraphs: [
      'Someone, hopefully you, asked for a new password for your Gatehouse account. A new password signs you out in every browser and every app.',
    ],
    facts: [account(facts.username), ...clientFacts('Asked from', facts.client)],
    buttons: [{ label: 'Choose a new password', url: facts.url }],
    closing: [
      `The link works once, for ${count(facts.minutes, 'minute')}, and only the newest one works.`,
      'If it was not you, ignore this message: your password stays as it is. Never pass this link on; Gatehouse will not ask for it.',
    ],
  }
}

/** To the user of an account, after a sign-in link was asked for. */
export function signInLink(facts: { username: string; url: string; minutes: number; client: MailClient }): MailContent {
  return {
    subject: 'Your sign-in link for Gatehouse',
    heading: 'Sign in to Gatehouse',
    paragraphs: ['Open this link in the browser in which you asked for it. It works in no other.'],
    facts: [account(facts.username), ...clientFacts('Asked from', facts.client)],
    buttons: [{ label: 'Sign in', url: facts.url }],
    closing: [
      `The link works once, for ${count(facts.minutes, 'minute')}, and only the newest one works.`,
      'If you did not ask for it, ignore this message. Never pass this link on; Gatehouse will not ask for it.',
    ],
  }
}

/** After a password was changed or reset. */
export function passwordChanged(facts: {
  username: string
  when: string
  client: MailClient
  forgottenPasswordUrl: string
}): MailContent {
  return {
    subject: 'Your Gatehouse password was changed',
    heading: 'Your password was changed',
    paragraphs: [
      'The password of your Gatehouse account was changed. Every other browser and every app was signed out.',
    ],
    facts: [account(facts.username), ['Changed', facts.when], ...clientFacts('Changed from', facts.client)],
    buttons: [{ label: 'This was not me: choose a new password', url: facts.forgottenPasswordUrl }],
    closing: ['If it was you, you need not do anything.'],
  }
}

/** To the new e-mail address, to confirm a change. */
export function confirmNewEmail(facts: { username: string; url: string; hours: number }): MailContent {
  return {
    subject: 'Confirm your new address for Gatehouse',
    heading: 'Confirm your new address',
    paragraphs: [
      'Someone, hopefully you, wants to use this address for a Gatehouse account. The account keeps its old address until you confirm this one.',
    ],
    facts: [account(facts.username)],
    buttons: [{ label: 'Use this address', url: facts.url }],
    closing: [
      `The link works once, for ${count(facts.hours, 'hour')}.`,
      'If this account is not yours, ignore this message: without you, the address is not used.',
    ],
  }
}

/** To the old e-mail address, after a change. */
export function emailChangedToOld(facts: EmailChange): MailContent {
  return {
    subject: 'The address of your Gatehouse account was changed',
    heading: 'Your address was changed',
    paragraphs: ['Your Gatehouse account has another address now. This is the last message to this one.'],
    facts: [
      account(facts.username),
      ['New address', masked(facts.to)],
      ['Changed', facts.when],
      ...clientFacts('Changed from', facts.client),
    ],
    closing: [
      'If it was you, you need not do anything.',
      'If it was not you, another person can sign in to your account. Tell the people who run this Gatehouse at once: they can stop it and give the account back to you.',
    ],
  }
}

/** To the new e-mail address, after a change. */
export function emailChangedToNew(facts: EmailChange): MailContent {
  return {
    subject: 'This is now the address of your Gatehouse account',
    heading: 'Your address was changed',
    paragraphs: [
      'Messages about your Gatehouse account come to this address from now on, and you can sign in with it.',
    ],
    facts: [
      account(facts.username),
      ['Old address', masked(facts.from)],
      ['Changed', facts.when],
      ...clientFacts('Changed from', facts.client),
    ],
    closing: ['The old address was told, too.'],
  }
}

export interface EmailChange {
  username: string
  from: string
  to: string
  when: string
  client: MailClient
}

/** After a sign-in from an unknown browser. */
export function unfamiliarSignIn(facts: {
  username: string
  when: string
  client: MailClient
  url: string
}): MailContent {
  return {
    subject: 'New sign-in to your Gatehouse account',
    heading: 'New sign-in',
    paragraphs: ['There was a sign-in to your Gatehouse account from a browser that had not been used for it before.'],
    facts: [account(facts.username), ['Signed in', facts.when], ...clientFacts('Signed in from', facts.client)],
    buttons: [{ label: 'This was not me', url: facts.url }],
    closing: [
      'If it was you, you need not do anything.',
      'If it was not you, choose “This was not me”. The page it opens signs out every browser and every app, yours too, and lets you choose a new password.',
    ],
  }
}

/** After refresh token reuse: one of the two clients may be a thief's. */
export function familyEndedForReuse(facts: {
  username: string
  app: string
  opened: { when: string; client: MailClient }
  reused: { when: string; client: MailClient }
  url: string
}): MailContent {
  return {
    subject: 'An app was signed out to protect your Gatehouse account',
    heading: 'An app was signed out to protect you',
    paragraphs: [
      'A key that this app had used up came back a second time. That can be a fault in the app, but it also happens when a thief has copied the key, so the app was signed out of your account at once, in both places. This key no longer works.',
    ],
    facts: [
      account(facts.username),
      ['App', foreign(facts.app)],
      ['Connected', facts.opened.when],
      ...clientFacts('Connected from', facts.opened.client),
      ['Came back', facts.reused.when],
      ...clientFacts('Came back from', facts.reused.client),
    ],
    buttons: [{ label: 'Look at your activity', url: facts.url }],
    closing: [
      'If you know both places, sign in to the app again and carry on.',
      'If you do not know one of them, another person may have had access to this app in your name: change your password, and tell the people who run the app.',
    ],
  }
}

/** After an authenticated app reused an old refresh token of its own: a fault of the app, not a theft. */
export function familyEndedForFault(facts: {
  username: string
  app: string
  opened: { when: string; client: MailClient }
  endedWhen: string
  url: string
}): MailContent {
  return {
    subject: 'An app was signed out of your Gatehouse account',
    heading: 'An app was signed out',
    paragraphs: [
      'This app made a mistake with its own sign-in, so Gatehouse ended that sign-in. The mistake came from the app itself, and nothing suggests that another person had access. Your account is as it was.',
    ],
    facts: [
      account(facts.username),
      ['App', foreign(facts.app)],
      ['Connected', facts.opened.when],
      ...clientFacts('Connected from', facts.opened.client),
      ['Signed out', facts.endedWhen],
    ],
    buttons: [{ label: 'Look at your activity', url: facts.url }],
    closing: ['Sign in to the app again and carry on. If this happens again, tell the people who run the app.'],
  }
}

/** `factor` in words, such as: authenticator app “Phone”, passkey “Laptop”, recovery codes. */
export interface SecondFactorChange {
  username: string
  factor: string
  when: string
  client: MailClient
  /** Where second factors are looked after. */
  url: string
}

export function secondFactorAdded(facts: SecondFactorChange): MailContent {
  return {
    subject: 'A second factor was added to your Gatehouse account',
    heading: 'Second factor added',
    paragraphs: ['There is a new way to prove that you are you when you sign in to Gatehouse.'],
    ...factorDetails('Added', facts),
    closing: [
      'If it was you, you need not do anything.',
      'If it was not you, remove it, change your password and end every other sign-in.',
    ],
  }
}

export function secondFactorRemoved(facts: SecondFactorChange): MailContent {
  return {
    subject: 'A second factor was removed from your Gatehouse account',
    heading: 'Second factor removed',
    paragraphs: ['One of the ways to prove that you are you when you sign in to Gatehouse works no longer.'],
    ...factorDetails('Removed', facts),
    closing: [
      'If it was you, you need not do anything.',
      'If it was not you, change your password, end every other sign-in and add a second factor of your own.',
    ],
  }
}

function factorDetails(label: string, { username, factor, when, client, url }: SecondFactorChange) {
  return {
    facts: [account(username), [label, foreign(factor)], ['When', when], ...clientFacts('From', client)],
    buttons: [{ label: 'Look at your second factors', url }],
  } satisfies Pick<MailContent, 'facts' | 'buttons'>
}

/** After an account was deleted, while it can still be kept. */
export function erasureAhead(facts: { username: string; date: string; client: MailClient; url: string }): MailContent {
  return {
    subject: 'Your Gatehouse account will be erased',
    heading: 'Your account will be erased',
    paragraphs: [
      'Your Gatehouse account was closed, and every browser and every app was signed out. On the day below everything held about you is erased for good.',
    ],
    facts: [account(facts.username), ['Erased on', facts.date], ...clientFacts('Asked from', facts.client)],
    buttons: [{ label: 'Sign in to keep your account', url: facts.url }],
    closing: [
      'If you want it erased, you need not do anything.',
      'If it was not you, sign in to keep the account, then change your password.',
    ],
  }
}

/** The last mail to a user, after erasure. */
export function accountErased(facts: { username: string; date: string }): MailContent {
  return {
    subject: 'Your Gatehouse account was erased',
    heading: 'Your account was erased',
    paragraphs: [
      'Your Gatehouse account and everything held about you here were erased. This is the last message to you.',
    ],
    facts: [account(facts.username), ['Erased', facts.date]],
    closing: [
      'Apps you had connected were told that you are signed out. What they hold themselves, only they can erase.',
    ],
  }
}

function account(username: string): [string, string] {
  return ['Account', foreign(username)]
}

function clientFacts(label: string, { browser, address, region }: MailClient): [string, string][] {
  const from: [string, string] = [label, foreign(browser)]
  if (address === null) return [from]
  return [from, ['Address', region === undefined || region === null ? address : `${address} (near ${foreign(region)})`]]
}

function count(number: number, unit: string): string {
  return `${number} ${unit}${number === 1 ? '' : 's'}`
}
