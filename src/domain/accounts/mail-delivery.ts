import type { Mailer } from '../../mail/mailer.ts'
import type { Letterhead, MailContent } from '../../mail/mail-content.ts'
import * as messages from '../../mail/messages.ts'
import { supportedLanguage } from '../../i18n/language-choice.ts'
import { textsFor } from '../../i18n/texts.ts'
import { isTimeZone } from '../../i18n/times.ts'
import { findFamily } from '../families/families.ts'
import { transaction } from '../../storage/postgres.ts'
import { findIdentity, findIdentityByKey, type IdentityRow } from '../../storage/identities.ts'
import { findInvitation, INVITATION_LIFE, invitationLink } from './invitations.ts'
import { EMAIL_CODE_LIFE, emailCodeOf } from './email-codes.ts'
import { linkEmailChange } from './email-changes.ts'
import { browserMessage } from '../user-agents.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { type LinkHolder, LINK_LIVES, type LinkPurpose, makeMailLink } from '../identities/mail-links.ts'
import { isKnownDevice } from '../sign-in/devices.ts'
import type { MailJob } from '../mail-jobs.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { readFactorDetail } from '../sign-in/factor-details.ts'

/** A mail with its recipient. */
interface AddressedMail {
  to: string
  message: MailContent
}

/**
 * Composes a queued mail from the current data, and hands it to the mailer. No mail is sent when its recipient no longer exists.
 * Its link is made here, so the queue never holds one. A retry makes a new link, and only the newest works.
 * @throws MailRefused when another attempt would end the same way; another Error when it may not.
 */
export async function deliverMail(services: Services, mailer: Mailer, mail: MailJob, id: string): Promise<void> {
  for (const [index, { to, message }] of (await write(services, mail)).entries()) {
    await mailer.send(to, message, `${id}-${index}`)
  }
}

async function write(services: Services, mail: MailJob): Promise<AddressedMail[]> {
  switch (mail.kind) {
    case 'verify-address':
      return forIdentity(services, mail.identityId, (identity) => writeVerification(services, identity, mail.locale))
    case 'reset-password':
      return writeReset(services, mail.email, mail.clientInfo)
    case 'sign-in-link':
      return writeSignInLink(services, mail)
    case 'sign-in-code':
      return writeSignInCode(services, mail)
    case 'address-code':
      return forIdentity(services, mail.identityId, (identity) => writeAddressCode(services, identity, mail))
    case 'password-changed':
    case 'registered-again':
      return forIdentity(services, mail.identityId, (identity) => {
        const { head, event } = addressed(services, identity, mail)
        const facts = { ...event, forgottenPasswordUrl: `${services.publicUrl}/forgot-password` }
        const compose = mail.kind === 'password-changed' ? messages.passwordChanged : messages.registeredAgain
        return { to: identity.email, message: compose(head, facts) }
      })
    case 'change-address':
      return writeEmailChange(services, mail)
    case 'address-changed': {
      const { from, to } = mail
      const identity = await findIdentity(services.storage, mail.identityId)
      if (identity === null) return []
      const { head, event } = addressed(services, identity, mail)
      const facts = { ...event, from, to }
      return [
        { to: from, message: messages.emailChangedToOld(head, facts) },
        { to, message: messages.emailChangedToNew(head, facts) },
      ]
    }
    case 'unfamiliar-sign-in':
      return forIdentity(services, mail.identityId, async (identity) => {
        const { head, event } = addressed(services, identity, mail)
        const holder = { identityId: identity.id, email: identity.email, identitySessionId: mail.identitySessionId }
        const url = await link(services, 'disown-sign-in', '/not-me', holder)
        return { to: identity.email, message: messages.unfamiliarSignIn(head, { ...event, url }) }
      })
    case 'family-reuse':
      return writeReuse(services, mail)
    case 'second-factor-added':
    case 'second-factor-removed':
      return forIdentity(services, mail.identityId, (identity) => {
        const { head, event } = addressed(services, identity, mail)
        const url = `${services.publicUrl}/settings/second-factors`
        const facts = { ...event, factor: readFactorDetail(mail.factor), url }
        const compose = mail.kind === 'second-factor-added' ? messages.secondFactorAdded : messages.secondFactorRemoved
        return { to: identity.email, message: compose(head, facts) }
      })
    case 'account-linked':
    case 'account-unlinked':
      return forIdentity(services, mail.identityId, (identity) => {
        const { head, event } = addressed(services, identity, mail)
        const { provider, email } = mail
        const facts = { ...event, provider, email, url: `${services.publicUrl}/settings/linked-accounts` }
        const compose = mail.kind === 'account-linked' ? messages.accountLinked : messages.accountUnlinked
        return { to: identity.email, message: compose(head, facts) }
      })
    case 'test':
      return forIdentity(services, mail.identityId, (identity) => {
        const head = letterhead(services, identity)
        const facts = { username: identity.username, when: timeIn(services, head, new Date(mail.at)) }
        return { to: identity.email, message: messages.testMail(head, facts) }
      })
    case 'deletion-requested':
      return forIdentity(services, mail.identityId, (identity) => {
        const { head, event } = addressed(services, identity, { ...mail, at: mail.erasedFrom })
        const { username, client, when: date } = event
        const facts = { username, client, date, url: `${services.publicUrl}/login` }
        return { to: identity.email, message: messages.erasureAhead(head, facts) }
      })
    case 'invitation': {
      const invitation = await findInvitation(services, mail.invitationId)
      if (invitation === null || invitation.expiresAt <= services.clock()) return []
      const head = letterhead(services, { locale: null, zoneinfo: null })
      const facts = { url: invitationLink(services, invitation), days: INVITATION_LIFE / 86_400 }
      return [{ to: invitation.email, message: messages.invitation(head, facts) }]
    }
    case 'erased': {
      const head = letterhead(services, { locale: mail.locale ?? null, zoneinfo: mail.zoneinfo ?? null })
      const facts = { username: mail.username, date: timeIn(services, head, new Date(mail.at)) }
      return [{ to: mail.email, message: messages.accountErased(head, facts) }]
    }
  }
}

async function forIdentity(
  services: Services,
  identityId: string,
  compose: (identity: IdentityRow) => AddressedMail | Promise<AddressedMail>,
): Promise<AddressedMail[]> {
  const identity = await findIdentity(services.storage, identityId)
  return identity === null ? [] : [await compose(identity)]
}

/** The confirmation link; or, when another account has proved the e-mail address already, the news that there is an account. */
async function writeVerification(
  services: Services,
  identity: IdentityRow,
  locale: string | undefined,
): Promise<AddressedMail> {
  const { id, username, email } = identity
  const news = await writeAccountExists(services, identity, locale)
  if (news !== null) return news
  const url = await link(services, 'verify-address', '/verify-email', { identityId: id, email })
  const facts = { username, url, hours: LINK_LIVES['verify-address'] / 3600 }
  return { to: email, message: messages.verifyEmail(letterhead(services, identity, locale), facts) }
}

/** The same with a code in place of the link. */
async function writeAddressCode(
  services: Services,
  identity: IdentityRow,
  mail: Extract<MailJob, { kind: 'address-code' }>,
): Promise<AddressedMail> {
  const news = await writeAccountExists(services, identity, mail.clientInfo.locale)
  return news ?? writeCode(services, identity, mail)
}

/** Null unless another account has proved the e-mail address of this one. */
async function writeAccountExists(
  services: Services,
  { id, username, email }: IdentityRow,
  locale: string | undefined,
): Promise<AddressedMail | null> {
  const holder = await findIdentityByKey(services.storage, loginKeyOf(email))
  if (holder === null || holder.id === id || !holder.emailVerified) return null
  const message = messages.accountExists(letterhead(services, holder, locale), {
    username: holder.username,
    typedUsername: username,
    signInUrl: `${services.publicUrl}/login`,
    forgottenPasswordUrl: `${services.publicUrl}/forgot-password`,
  })
  return { to: email, message }
}

/** A code to sign in with, by the rules of a sign-in link. */
async function writeSignInCode(
  services: Services,
  mail: Extract<MailJob, { kind: 'sign-in-code' }>,
): Promise<AddressedMail[]> {
  const { email, deviceHash, clientInfo } = mail
  const identity = await findIdentityByKey(services.storage, email)
  if (identity === null || identity.emailKey === null || identity.disabledAt !== null) return []
  const device = deviceHash === null ? null : Buffer.from(deviceHash, 'base64url')
  if (!identity.emailVerified && !(await isKnownDevice(services, identity.id, device)))
    return writeReset(services, email, clientInfo)
  return [writeCode(services, identity, mail)]
}

function writeCode(
  services: Services,
  identity: IdentityRow,
  { codeId, clientInfo }: { codeId: string; clientInfo: ClientInfo },
): AddressedMail {
  const head = letterhead(services, identity, clientInfo.locale)
  const message = messages.emailCode(head, {
    username: identity.username,
    code: emailCodeOf(services, { id: codeId, email: loginKeyOf(identity.email) }),
    minutes: EMAIL_CODE_LIFE / 60,
    client: inWords(services, head, clientInfo),
  })
  return { to: identity.email, message }
}

/** No mail for a change that is no longer pending. */
async function writeEmailChange(
  services: Services,
  { identityId, email, locale }: Extract<MailJob, { kind: 'change-address' }>,
): Promise<AddressedMail[]> {
  const token = await linkEmailChange(services, identityId, email)
  if (token === null) return []
  const url = `${services.publicUrl}/verify-email/${token}`
  const hours = LINK_LIVES['change-address'] / 3600
  return forIdentity(services, identityId, (identity) => ({
    to: email,
    message: messages.confirmNewEmail(letterhead(services, identity, locale), {
      username: identity.username,
      url,
      hours,
    }),
  }))
}

async function writeReset(services: Services, email: string, clientInfo: ClientInfo | null): Promise<AddressedMail[]> {
  const identity = await findIdentityByKey(services.storage, loginKeyOf(email))
  // An account without a key for its e-mail address must not have a mail sent there: the address belongs to another account.
  if (identity === null || identity.emailKey === null) return []
  const head = letterhead(services, identity, clientInfo?.locale)
  const holder = { identityId: identity.id, email: identity.email }
  const message = messages.passwordResetLink(head, {
    username: identity.username,
    url: await link(services, 'reset-password', '/reset-password', holder),
    minutes: LINK_LIVES['reset-password'] / 60,
    client: inWords(services, head, clientInfo),
  })
  return [{ to: identity.email, message }]
}

/**
 * A stranger may have registered an address that was never confirmed. Its owner gets a link to choose a password, which ends all
 * that the stranger can do, unless the link is asked for in a browser of that very account.
 */
async function writeSignInLink(
  services: Services,
  { email, browserHash, deviceHash, clientInfo }: Extract<MailJob, { kind: 'sign-in-link' }>,
): Promise<AddressedMail[]> {
  const identity = await findIdentityByKey(services.storage, loginKeyOf(email))
  if (identity === null || identity.emailKey === null || identity.disabledAt !== null) return []
  const device = deviceHash === null ? null : Buffer.from(deviceHash, 'base64url')
  if (!identity.emailVerified && !(await isKnownDevice(services, identity.id, device)))
    return writeReset(services, email, clientInfo)
  const head = letterhead(services, identity, clientInfo.locale)
  const message = messages.signInLink(head, {
    username: identity.username,
    url: await link(services, 'sign-in', '/login/mail', {
      identityId: identity.id,
      email: identity.email,
      browserHash: Buffer.from(browserHash, 'base64url'),
    }),
    minutes: LINK_LIVES['sign-in'] / 60,
    client: inWords(services, head, clientInfo),
  })
  return [{ to: identity.email, message }]
}

async function writeReuse(
  services: Services,
  mail: Extract<MailJob, { kind: 'family-reuse' }>,
): Promise<AddressedMail[]> {
  const family = await findFamily(services, mail.familyId)
  if (family === null) return []
  return forIdentity(services, family.identityId, (identity) => {
    const { head, event } = addressed(services, identity, mail)
    const { username, ...reused } = event
    const opened = { when: timeIn(services, head, family.createdAt), client: inWords(services, head, family) }
    const facts = { username, app: family.appName, opened, url: `${services.publicUrl}/activity` }
    const message =
      family.endCause === 'own_reuse'
        ? messages.familyEndedForFault(head, { ...facts, endedWhen: reused.when })
        : messages.familyEndedForReuse(head, { ...facts, reused })
    return { to: identity.email, message }
  })
}

/** The URL of the button of a mail. The token is in the path, and pages send no Referer. */
async function link(services: Services, purpose: LinkPurpose, path: string, holder: LinkHolder): Promise<string> {
  const token = await transaction(services.storage.pool, (db) => makeMailLink(services, db, purpose, holder))
  return `${services.publicUrl}${path}/${token}`
}

/** The letterhead of a mail about an event, and the event in words. */
function addressed(services: Services, identity: IdentityRow, mail: { at: string; clientInfo: ClientInfo | null }) {
  const head = letterhead(services, identity, mail.clientInfo?.locale)
  const event = {
    username: identity.username,
    when: timeIn(services, head, new Date(mail.at)),
    client: inWords(services, head, mail.clientInfo),
  }
  return { head, event }
}

/**
 * In the language and the time zone that the person has chosen; otherwise in the language of the browser that caused the mail, or
 * in DEFAULT_LOCALE, and in UTC.
 */
function letterhead(
  { brand, policy }: Services,
  { locale, zoneinfo }: Pick<IdentityRow, 'locale' | 'zoneinfo'>,
  browserLocale?: string,
): Letterhead {
  const language = supportedLanguage(locale) ?? supportedLanguage(browserLocale) ?? policy.defaultLocale
  const zone = zoneinfo !== null && isTimeZone(zoneinfo) ? zoneinfo : null
  return { texts: textsFor(language, { organisation: brand.name, zone }), brand }
}

function timeIn(services: Services, { texts }: Letterhead, at: Date): string {
  return texts.time(at, services.clock()).text
}

/** Null for an operator. */
function inWords(
  services: Services,
  { texts }: Letterhead,
  clientInfo: Pick<ClientInfo, 'browser' | 'address'> | null,
): messages.MailClient {
  if (clientInfo === null) return { browser: texts.t('mail.client_operator'), address: null }
  const { browser, address } = clientInfo
  const place = services.geoip.locationOf(address)
  return { browser: texts.say(browserMessage(browser)), address, region: place && texts.say(place) }
}
