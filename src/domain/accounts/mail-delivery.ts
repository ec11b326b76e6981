import type { Mailer } from '../../mail/mailer.ts'
import type { MailContent } from '../../mail/mail-content.ts'
import * as messages from '../../mail/messages.ts'
import { findFamily } from '../families/families.ts'
import { transaction } from '../../storage/postgres.ts'
import { findIdentity, findIdentityByKey, type IdentityRow } from '../../storage/identities.ts'
import { linkEmailChange } from './email-changes.ts'
import { browserInWords } from '../user-agents.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { type LinkHolder, LINK_LIVES, type LinkPurpose, makeMailLink } from '../identities/mail-links.ts'
import { isKnownDevice } from '../sign-in/devices.ts'
import type { MailJob } from '../mail-jobs.ts'
import { ipInWords } from '../geoip.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { timeInWords } from '../time-words.ts'

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
      return forIdentity(services, mail.identityId, (identity) => writeVerification(services, identity))
    case 'reset-password':
      return writeReset(services, mail.email, mail.clientInfo)
    case 'sign-in-link':
      return writeSignInLink(services, mail)
    case 'password-changed':
      return forIdentity(services, mail.identityId, ({ username, email }) => ({
        to: email,
        message: messages.passwordChanged({
          username,
          ...when(services, mail.at),
          client: inWords(services, mail.clientInfo),
          forgottenPasswordUrl: `${services.publicUrl}/forgot-password`,
        }),
      }))
    case 'change-address':
      return writeEmailChange(services, mail.identityId, mail.email)
    case 'address-changed': {
      const { from, to, at, clientInfo } = mail
      const identity = await findIdentity(services.storage, mail.identityId)
      if (identity === null) return []
      const facts = {
        username: identity.username,
        from,
        to,
        ...when(services, at),
        client: inWords(services, clientInfo),
      }
      return [
        { to: from, message: messages.emailChangedToOld(facts) },
        { to, message: messages.emailChangedToNew(facts) },
      ]
    }
    case 'unfamiliar-sign-in':
      return forIdentity(services, mail.identityId, async ({ id, username, email }) => ({
        to: email,
        message: messages.unfamiliarSignIn({
          username,
          ...when(services, mail.at),
          client: inWords(services, mail.clientInfo),
          url: await link(services, 'disown-sign-in', '/not-me', {
            identityId: id,
            email,
            identitySessionId: mail.identitySessionId,
          }),
        }),
      }))
    case 'family-reuse':
      return writeReuse(services, mail)
    case 'second-factor-added':
    case 'second-factor-removed':
      return forIdentity(services, mail.identityId, ({ username, email }) => {
        const facts = {
          username,
          factor: mail.factor,
          ...when(services, mail.at),
          client: inWords(services, mail.clientInfo),
          url: `${services.publicUrl}/settings/second-factors`,
        }
        const compose = mail.kind === 'second-factor-added' ? messages.secondFactorAdded : messages.secondFactorRemoved
        return { to: email, message: compose(facts) }
      })
    case 'deletion-requested':
      return forIdentity(services, mail.identityId, ({ username, email }) => ({
        to: email,
        message: messages.erasureAhead({
          username,
          date: when(services, mail.erasedFrom).when,
          client: inWords(services, mail.clientInfo),
          url: `${services.publicUrl}/login`,
        }),
      }))
    case 'erased':
      return [
        {
          to: mail.email,
          message: messages.accountErased({ username: mail.username, date: when(services, mail.at).when }),
        },
      ]
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
async function writeVerification(services: Services, { id, username, email }: IdentityRow): Promise<AddressedMail> {
  const holder = await findIdentityByKey(services.storage, loginKeyOf(email))
  if (holder !== null && holder.id !== id && holder.emailVerified) {
    const message = messages.accountExists({
      username: holder.username,
      typedUsername: username,
      signInUrl: `${services.publicUrl}/login`,
      forgottenPasswordUrl: `${services.publicUrl}/forgot-password`,
    })
    return { to: email, message }
  }
  const url = await link(services, 'verify-address', '/verify-email', { identityId: id, email })
  return { to: email, message: messages.verifyEmail({ username, url, hours: LINK_LIVES['verify-address'] / 3600 }) }
}

/** No mail for a change that is no longer pending. */
async function writeEmailChange(services: Services, identityId: string, email: string): Promise<AddressedMail[]> {
  const token = await linkEmailChange(services, identityId, email)
  if (token === null) return []
  const url = `${services.publicUrl}/verify-email/${token}`
  const hours = LINK_LIVES['change-address'] / 3600
  return forIdentity(services, identityId, ({ username }) => ({
    to: email,
    message: messages.confirmNewEmail({ username, url, hours }),
  }))
}

async function writeReset(services: Services, email: string, clientInfo: ClientInfo): Promise<AddressedMail[]> {
  const identity = await findIdentityByKey(services.storage, loginKeyOf(email))
  // An account without a key for its e-mail address must not have a mail sent there: the address belongs to another account.
  if (identity === null || identity.emailKey === null) return []
  const message = messages.passwordResetLink({
    username: identity.username,
    url: await link(services, 'reset-password', '/reset-password', {
      identityId: identity.id,
      email: identity.email,
    }),
    minutes: LINK_LIVES['reset-password'] / 60,
    client: inWords(services, clientInfo),
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
  const message = messages.signInLink({
    username: identity.username,
    url: await link(services, 'sign-in', '/login/mail', {
      identityId: identity.id,
      email: identity.email,
      browserHash: Buffer.from(browserHash, 'base64url'),
    }),
    minutes: LINK_LIVES['sign-in'] / 60,
    client: inWords(services, clientInfo),
  })
  return [{ to: identity.email, message }]
}

async function writeReuse(
  services: Services,
  mail: Extract<MailJob, { kind: 'family-reuse' }>,
): Promise<AddressedMail[]> {
  const family = await findFamily(services, mail.familyId)
  if (family === null) return []
  return forIdentity(services, family.identityId, ({ username, email }) => {
    const opened = { ...when(services, family.createdAt.toISOString()), client: inWords(services, family) }
    const facts = { username, app: family.appName, opened, url: `${services.publicUrl}/activity` }
    const ended = when(services, mail.at)
    const message =
      family.endCause === 'own_reuse'
        ? messages.familyEndedForFault({ ...facts, endedWhen: ended.when })
        : messages.familyEndedForReuse({ ...facts, reused: { ...ended, client: inWords(services, mail.clientInfo) } })
    return { to: email, message }
  })
}

/** The URL of the button of a mail. The token is in the path, and pages send no Referer. */
async function link(services: Services, purpose: LinkPurpose, path: string, holder: LinkHolder): Promise<string> {
  const token = await transaction(services.storage.pool, (db) => makeMailLink(services, db, purpose, holder))
  return `${services.publicUrl}${path}/${token}`
}

function when(services: Services, at: string): { when: string } {
  return { when: timeInWords(new Date(at), services.clock()).text }
}

/** Null for an operator. */
function inWords(services: Services, clientInfo: ClientInfo | null): messages.MailClient {
  return clientInfo === null
    ? { browser: 'The command line, by an operator', address: null }
    : { browser: browserInWords(clientInfo.browser), address: ipInWords(services, clientInfo.address) }
}
