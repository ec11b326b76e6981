import type { Mailer } from '../../mail/mailer.ts'
import type { Message } from '../../mail/mail-content.ts'
import * as messages from '../../mail/messages.ts'
import { findFamily } from '../families/families.ts'
import { transaction } from '../../storage/postgres.ts'
import { findIdentity, findIdentityByKey, type IdentityRow } from '../../storage/identities.ts'
import { linkAddressChange } from './email-changes.ts'
import { browserInWords } from '../user-agents.ts'
import { keyOf } from '../limits/login-keys.ts'
import { makeMailLink, LINK_LIVES, type LinkPurpose } from '../identities/mail-links.ts'
import type { Mail } from '../mail-jobs.ts'
import { addressInWords } from '../geoip.ts'
import type { Place } from '../client-info.ts'
import type { Portal } from '../services.ts'
import { timeInWords } from '../time-words.ts'

interface Letter {
  to: string
  message: Message
}

/**
 * Writes a queued mail with what is true now, and hands it over. Nothing leaves when there is nobody to tell any more.
 * The link in it is made here, so no queue ever holds one; a mail that is tried again gets a new one, and the newest counts.
 * @throws MailRefused when another attempt would end the same way; another Error when it may not.
 */
export async function deliverMail(portal: Portal, mailer: Mailer, mail: Mail, id: string): Promise<void> {
  for (const [index, { to, message }] of (await write(portal, mail)).entries()) {
    await mailer.send(to, message, `${id}-${index}`)
  }
}

async function write(portal: Portal, mail: Mail): Promise<Letter[]> {
  switch (mail.kind) {
    case 'verify-address':
      return forIdentity(portal, mail.identityId, (identity) => writeVerification(portal, identity))
    case 'reset-password':
      return writeReset(portal, mail.email, mail.place)
    case 'password-changed':
      return forIdentity(portal, mail.identityId, ({ username, email }) => ({
        to: email,
        message: messages.passwordChanged({
          username,
          ...when(portal, mail.at),
          place: inWords(portal, mail.place),
          forgottenPasswordUrl: `${portal.publicUrl}/forgot-password`,
        }),
      }))
    case 'change-address':
      return writeAddressChange(portal, mail.identityId, mail.email)
    case 'address-changed': {
      const { from, to, at, place } = mail
      const identity = await findIdentity(portal.storage, mail.identityId)
      if (identity === null) return []
      const facts = { username: identity.username, from, to, ...when(portal, at), place: inWords(portal, place) }
      return [
        { to: from, message: messages.addressChangedToOld(facts) },
        { to, message: messages.addressChangedToNew(facts) },
      ]
    }
    case 'unfamiliar-sign-in':
      return forIdentity(portal, mail.identityId, async ({ id, username, email }) => ({
        to: email,
        message: messages.unfamiliarSignIn({
          username,
          ...when(portal, mail.at),
          place: inWords(portal, mail.place),
          url: await link(portal, 'disown-sign-in', '/not-me', id, email, mail.identitySessionId),
        }),
      }))
    case 'family-reuse':
      return writeReuse(portal, mail)
    case 'second-factor-added':
    case 'second-factor-removed':
      return forIdentity(portal, mail.identityId, ({ username, email }) => {
        const facts = {
          username,
          factor: mail.factor,
          ...when(portal, mail.at),
          place: inWords(portal, mail.place),
          url: `${portal.publicUrl}/settings/second-factors`,
        }
        const compose = mail.kind === 'second-factor-added' ? messages.secondFactorAdded : messages.secondFactorRemoved
        return { to: email, message: compose(facts) }
      })
    case 'deletion-requested':
      return forIdentity(portal, mail.identityId, ({ username, email }) => ({
        to: email,
        message: messages.erasureAhead({
          username,
          date: when(portal, mail.erasedFrom).when,
          place: inWords(portal, mail.place),
          url: `${portal.publicUrl}/login`,
        }),
      }))
    case 'erased':
      return [
        {
          to: mail.email,
          message: messages.accountErased({ username: mail.username, date: when(portal, mail.at).when }),
        },
      ]
  }
}

async function forIdentity(
  portal: Portal,
  identityId: string,
  compose: (identity: IdentityRow) => Letter | Promise<Letter>,
): Promise<Letter[]> {
  const identity = await findIdentity(portal.storage, identityId)
  return identity === null ? [] : [await compose(identity)]
}

/** To whoever has proved the address already, that they have an account; to everybody else, the link to prove it. */
async function writeVerification(portal: Portal, { id, username, email }: IdentityRow): Promise<Letter> {
  const holder = await findIdentityByKey(portal.storage, keyOf(email))
  if (holder !== null && holder.id !== id && holder.emailVerified) {
    const message = messages.accountExists({
      username: holder.username,
      typedUsername: username,
      signInUrl: `${portal.publicUrl}/login`,
      forgottenPasswordUrl: `${portal.publicUrl}/forgot-password`,
    })
    return { to: email, message }
  }
  const url = await link(portal, 'verify-address', '/verify-email', id, email)
  return { to: email, message: messages.verifyAddress({ username, url, hours: LINK_LIVES['verify-address'] / 3600 }) }
}

/** Nothing for a change that is not pending any more. */
async function writeAddressChange(portal: Portal, identityId: string, email: string): Promise<Letter[]> {
  const token = await linkAddressChange(portal, identityId, email)
  if (token === null) return []
  const url = `${portal.publicUrl}/verify-email/${token}`
  const hours = LINK_LIVES['change-address'] / 3600
  return forIdentity(portal, identityId, ({ username }) => ({
    to: email,
    message: messages.confirmNewAddress({ username, url, hours }),
  }))
}

async function writeReset(portal: Portal, email: string, place: Place): Promise<Letter[]> {
  const identity = await findIdentityByKey(portal.storage, keyOf(email))
  // An account without a key for its address must not have a mail sent there: another account holds that address.
  if (identity === null || identity.emailKey === null) return []
  const message = messages.resetPassword({
    username: identity.username,
    url: await link(portal, 'reset-password', '/reset-password', identity.id, identity.email),
    minutes: LINK_LIVES['reset-password'] / 60,
    place: inWords(portal, place),
  })
  return [{ to: identity.email, message }]
}

async function writeReuse(portal: Portal, mail: Extract<Mail, { kind: 'family-reuse' }>): Promise<Letter[]> {
  const family = await findFamily(portal, mail.familyId)
  if (family === null) return []
  return forIdentity(portal, family.identityId, ({ username, email }) => {
    const opened = { ...when(portal, family.createdAt.toISOString()), place: inWords(portal, family) }
    const facts = { username, app: family.appName, opened, url: `${portal.publicUrl}/activity` }
    const ended = when(portal, mail.at)
    const message =
      family.endCause === 'own_reuse'
        ? messages.familyEndedForFault({ ...facts, endedWhen: ended.when })
        : messages.familyEndedForReuse({ ...facts, reused: { ...ended, place: inWords(portal, mail.place) } })
    return { to: email, message }
  })
}

/** Where the button of a mail leads; the token is part of the path, which browsers keep to themselves. */
async function link(
  portal: Portal,
  purpose: LinkPurpose,
  path: string,
  identityId: string,
  email: string,
  identitySessionId?: string,
): Promise<string> {
  const holder = { identityId, email, ...(identitySessionId === undefined ? {} : { identitySessionId }) }
  const token = await transaction(portal.storage.pool, (db) => makeMailLink(portal, db, purpose, holder))
  return `${portal.publicUrl}${path}/${token}`
}

function when(portal: Portal, at: string): { when: string } {
  return { when: timeInWords(new Date(at), portal.clock()).text }
}

/** Null for an operator. */
function inWords(portal: Portal, place: Place | null): messages.MailPlace {
  return place === null
    ? { browser: 'The command line, by an operator', address: null }
    : { browser: browserInWords(place.browser), address: addressInWords(portal, place.address) }
}
