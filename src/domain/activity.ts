import { type AuditRow, listAuditEvents } from '../storage/audit.ts'
import type { Confirmation, PersonalKind } from './audit-events.ts'
import { END_CAUSES, type EndCause } from './endings/end-causes.ts'
import { readSignInDetail } from './sign-in/sign-in-methods.ts'
import type { Services } from './services.ts'

const CONFIRMATION_WORDS: Record<Confirmation, string> = {
  'password-change': 'A wrong password was entered while changing your password.',
  identity: 'A wrong password was entered to confirm that it was you.',
  'second-factor': 'A wrong second factor was entered to confirm that it was you.',
}

/** One audit event, as the user reads it on the activity page. */
export interface ActivityEntry {
  id: string
  at: Date
  sentence: string
  tone: 'plain' | 'good' | 'warning'
  browser: string | null
  address: string | null
  familyId: string | null
}

/** The audit events of this identity, newest first, `limit` at most; `before` is the id to go on from. */
export async function listActivityEntries(
  services: Services,
  identityId: string,
  limit: number,
  before: string | null,
): Promise<ActivityEntry[]> {
  const rows = await listAuditEvents(services.storage, identityId, limit, before, true)
  return rows.map((row) => ({
    id: row.id,
    at: row.at,
    browser: row.browser,
    address: row.address,
    familyId: row.familyId,
    ...wording(row),
  }))
}

function wording(row: AuditRow): Pick<ActivityEntry, 'sentence' | 'tone'> {
  const app = row.appName ?? row.clientId ?? 'an app'
  const cause = row.cause !== null && row.cause in END_CAUSES ? END_CAUSES[row.cause as EndCause] : null
  switch (row.kind as PersonalKind) {
    case 'registered':
      return { sentence: 'Your account was created.', tone: 'good' }
    case 'signed_in':
      return readSignInDetail(row.detail).isUnfamiliar
        ? { sentence: 'You signed in from a browser that was not known.', tone: 'warning' }
        : { sentence: 'You signed in.', tone: 'good' }
    case 'sign_in_refused':
      return { sentence: 'Somebody tried to sign in as you and did not have the password.', tone: 'warning' }
    case 'confirmation_refused':
      return { sentence: CONFIRMATION_WORDS[row.detail as Confirmation], tone: 'plain' }
    case 'signed_out':
      return { sentence: 'You signed out.', tone: 'plain' }
    case 'session_ended':
      return { sentence: `A browser was signed out: ${cause?.words ?? 'it was ended'}.`, tone: 'plain' }
    case 'family_opened':
      return { sentence: `${app} was connected.`, tone: 'good' }
    case 'family_ended':
      return {
        sentence: `${app} was disconnected: ${cause?.words ?? 'it was ended'}.`,
        tone: cause?.alarming ? 'warning' : 'plain',
      }
    case 'identity_disabled':
      return { sentence: 'Your account was disabled by an operator.', tone: 'warning' }
    case 'identity_enabled':
      return { sentence: 'Your account was enabled again by an operator.', tone: 'good' }
    case 'everything_ended':
      return { sentence: 'An operator signed you out everywhere.', tone: 'warning' }
    case 'second_factors_reset':
      return { sentence: 'An operator reset your two-step verification.', tone: 'warning' }
    case 'roles_changed':
      return {
        sentence: row.detail
          ? `An operator changed your roles to: ${row.detail}.`
          : 'An operator took your roles away.',
        tone: 'plain',
      }
    case 'sign_in_disowned':
      return { sentence: 'You said that a sign-in was not you.', tone: 'warning' }
    case 'device_forgotten':
      return { sentence: 'A known browser was forgotten.', tone: 'plain' }
    case 'browser_trusted':
      return { sentence: 'You chose to sign in without the second step in this browser.', tone: 'plain' }
    case 'browser_trust_ended':
      return { sentence: 'You chose to be asked for the second step in every browser again.', tone: 'good' }
    case 'data_exported':
      return { sentence: 'You downloaded your data.', tone: 'plain' }
    case 'deletion_requested':
      return {
        sentence: row.browser === null ? 'Your account was deleted by an operator.' : 'You deleted your account.',
        tone: 'warning',
      }
    case 'deletion_withdrawn':
      return { sentence: 'You kept your account after all.', tone: 'good' }
    case 'second_factor_added':
      return { sentence: `The ${row.detail ?? 'second factor'} was added.`, tone: 'good' }
    case 'second_factor_removed':
      return { sentence: `The ${row.detail ?? 'second factor'} was removed.`, tone: 'warning' }
    case 'second_factor_refused':
      return { sentence: 'A sign-in with your password failed at your second factor.', tone: 'warning' }
    case 'passkey_refused':
      return {
        sentence: `The passkey “${row.detail ?? ''}” answered with an old counter and was refused, so it may have been copied.`,
        tone: 'warning',
      }
    case 'recovery_codes_made':
      return { sentence: 'New recovery codes were made.', tone: 'plain' }
    case 'recovery_code_used':
      return { sentence: 'A recovery code was used in place of a second factor.', tone: 'warning' }
    case 'address_confirmed':
      return { sentence: 'You confirmed your e-mail address.', tone: 'good' }
    case 'address_lost':
      return { sentence: 'Another person proved that your e-mail address is theirs.', tone: 'warning' }
    case 'address_change_asked':
      return { sentence: 'You asked to change your e-mail address.', tone: 'plain' }
    case 'address_change_withdrawn':
      return { sentence: 'You kept your e-mail address after all.', tone: 'plain' }
    case 'address_changed':
      return { sentence: 'Your e-mail address was changed.', tone: 'good' }
    case 'password_changed':
      return { sentence: 'You changed your password.', tone: 'good' }
    case 'password_reset':
      return { sentence: 'Your password was reset with a link from your mail.', tone: 'good' }
  }
}
