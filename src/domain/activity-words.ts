import { type Message, message } from '../i18n/messages.ts'
import type { ListedAuditRow } from '../storage/audit.ts'
import type { Confirmation, PersonalKind } from './audit-events.ts'
import { END_CAUSES, type EndCause, endWords } from './endings/end-causes.ts'
import { readFactorDetail } from './sign-in/factor-details.ts'
import { readSignInDetail } from './sign-in/sign-in-methods.ts'
import { ONE_BROWSER } from './sign-in/trusted-browsers.ts'
import { browserMessage } from './user-agents.ts'

export type ActivityTone = 'plain' | 'good' | 'warning'

interface Words {
  sentence: Message
  tone: ActivityTone
}

/** The sentence of one audit event, or of several equal ones, newest first. `isOwn` is a refused attempt of the user's own. */
export function activityWords(rows: ListedAuditRow[], isOwn: boolean): Words {
  const row = rows[0] as ListedAuditRow
  const words = ofKind(row, rows, isOwn)
  // An event of a later version, after a downgrade.
  return words ?? { sentence: message('activity.unknown'), tone: 'plain' }
}

function ofKind(row: ListedAuditRow, rows: ListedAuditRow[], isOwn: boolean): Words | undefined {
  switch (row.kind as PersonalKind) {
    case 'registered':
      return { sentence: message('activity.registered'), tone: 'good' }
    case 'signed_in':
      return signedIn(row)
    case 'sign_in_refused':
      if (isUnchecked(row.cause)) return { sentence: message('activity.sign_in_refused_unchecked'), tone: 'warning' }
      if (row.cause !== null && row.cause !== 'wrong_password')
        return { sentence: message('activity.sign_in_refused_otherwise'), tone: 'warning' }
      return isOwn
        ? { sentence: message('activity.own_sign_in_refused'), tone: 'plain' }
        : { sentence: message('activity.sign_in_refused'), tone: 'warning' }
    case 'second_factor_refused':
      return isOwn
        ? { sentence: message('activity.own_second_factor_refused'), tone: 'plain' }
        : { sentence: message('activity.second_factor_refused'), tone: 'warning' }
    case 'confirmation_refused':
      return { sentence: message(CONFIRMATION_KEYS[row.detail as Confirmation]), tone: 'plain' }
    case 'signed_out':
      return { sentence: message('activity.signed_out'), tone: 'plain' }
    case 'session_ended':
      return { sentence: sessionEnded(row, rows.length), tone: toneOf(row) }
    case 'family_opened':
      return { sentence: familyOpened(row, rows.length), tone: 'good' }
    case 'family_ended': {
      const values = { app: appOf(row), count: browsersIn(rows), reason: reasonOf(row) }
      return { sentence: message('activity.family_ended', values), tone: toneOf(row) }
    }
    case 'identity_disabled':
      return { sentence: message('activity.identity_disabled'), tone: 'warning' }
    case 'identity_enabled':
      return { sentence: message('activity.identity_enabled'), tone: 'good' }
    case 'everything_ended':
      return { sentence: message('activity.everything_ended'), tone: 'warning' }
    case 'second_factors_reset':
      return { sentence: message('activity.second_factors_reset'), tone: 'warning' }
    case 'roles_changed':
      return {
        sentence: row.detail
          ? message('activity.roles_changed', { roles: row.detail })
          : message('activity.roles_removed'),
        tone: 'plain',
      }
    case 'app_roles_changed':
      return { sentence: message('activity.app_roles_changed', { app: appOf(row) }), tone: 'plain' }
    case 'groups_changed':
      return { sentence: message('activity.groups_changed'), tone: 'plain' }
    case 'attribute_changed':
      return { sentence: message('activity.attribute_changed'), tone: 'plain' }
    case 'profile_changed':
      return {
        sentence: message(isByOperator(row) ? 'activity.profile_changed_by_operator' : 'activity.profile_changed'),
        tone: 'plain',
      }
    case 'user_name_changed':
      return { sentence: message('activity.user_name_changed'), tone: 'plain' }
    case 'reset_sent':
      return { sentence: message('activity.reset_sent'), tone: 'plain' }
    case 'attempts_reset':
      return { sentence: message('activity.attempts_reset'), tone: 'plain' }
    case 'sign_in_disowned':
      return { sentence: message('activity.sign_in_disowned'), tone: 'warning' }
    case 'device_forgotten':
      return { sentence: message('activity.device_forgotten'), tone: 'plain' }
    case 'browser_trusted':
      return { sentence: message('activity.browser_trusted'), tone: 'plain' }
    case 'browser_trust_ended':
      return {
        sentence: message(
          row.detail === ONE_BROWSER ? 'activity.browser_trust_ended_once' : 'activity.browser_trust_ended',
        ),
        tone: 'good',
      }
    case 'data_exported':
      return isByOperator(row)
        ? { sentence: message('activity.data_exported_by_operator'), tone: 'warning' }
        : { sentence: message('activity.data_exported'), tone: 'plain' }
    case 'deletion_requested':
      return {
        sentence:
          row.browser === null ? message('activity.deleted_by_operator') : message('activity.deletion_requested'),
        tone: 'warning',
      }
    case 'deletion_withdrawn':
      return {
        sentence: message(
          isByOperator(row) ? 'activity.deletion_withdrawn_by_operator' : 'activity.deletion_withdrawn',
        ),
        tone: 'good',
      }
    case 'account_linked':
      return { sentence: message('activity.account_linked', { provider: row.detail ?? '' }), tone: 'good' }
    case 'account_unlinked':
      return { sentence: message('activity.account_unlinked', { provider: row.detail ?? '' }), tone: 'warning' }
    case 'second_factor_added':
      return { sentence: message('activity.second_factor_added', factorOf(row)), tone: 'good' }
    case 'second_factor_removed':
      return { sentence: message('activity.second_factor_removed', factorOf(row)), tone: 'warning' }
    case 'passkey_refused':
      return { sentence: message('activity.passkey_refused', { name: row.detail ?? '' }), tone: 'warning' }
    case 'recovery_codes_made':
      return { sentence: message('activity.recovery_codes_made'), tone: 'plain' }
    case 'recovery_code_used':
      return { sentence: message('activity.recovery_code_used'), tone: 'warning' }
    case 'address_confirmed':
      return {
        sentence: message(isByOperator(row) ? 'activity.address_confirmed_by_operator' : 'activity.address_confirmed'),
        tone: 'good',
      }
    case 'address_lost':
      return { sentence: message('activity.address_lost'), tone: 'warning' }
    case 'address_change_asked':
      return { sentence: message('activity.address_change_asked'), tone: 'plain' }
    case 'address_change_withdrawn':
      return { sentence: message('activity.address_change_withdrawn'), tone: 'plain' }
    case 'address_changed':
      return { sentence: message('activity.address_changed'), tone: 'good' }
    case 'terms_accepted':
      return { sentence: message('activity.terms_accepted', { version: row.detail ?? '' }), tone: 'plain' }
    case 'consent_given':
      return { sentence: message('activity.consent_given', { app: appOf(row) }), tone: 'good' }
    case 'consent_withdrawn':
      return { sentence: message('activity.consent_withdrawn', { app: appOf(row) }), tone: 'plain' }
    case 'password_changed':
      return { sentence: message('activity.password_changed'), tone: 'good' }
    case 'password_reset':
      return { sentence: message('activity.password_reset'), tone: 'good' }
  }
}

const CONFIRMATION_KEYS = {
  'password-change': 'activity.confirmation_refused_password_change',
  identity: 'activity.confirmation_refused_identity',
  'second-factor': 'activity.confirmation_refused_second_factor',
} as const satisfies Record<Confirmation, string>

/** The choices of `method` in the catalogue are the methods that were proved, joined: `password_app`. */
function signedIn(row: ListedAuditRow): Words {
  const { isUnfamiliar, isAgain, methods, provider } = readSignInDetail(row.detail)
  const method = methods.map((each) => each.replaceAll('-', '_')).join('_') || 'other'
  const values = { method, provider: provider ?? '' }
  if (isUnfamiliar) return { sentence: message('activity.signed_in_new_browser', values), tone: 'warning' }
  if (isAgain) return { sentence: message('activity.signed_in_again', values), tone: 'good' }
  return { sentence: message('activity.signed_in', values), tone: 'good' }
}

function sessionEnded(row: ListedAuditRow, count: number): Message {
  const reason = reasonOf(row)
  if (count > 1 || row.sessionBrowser === null) return message('activity.sessions_ended', { count, reason })
  return message('activity.session_ended', { browser: browserMessage(row.sessionBrowser), reason })
}

function familyOpened(row: ListedAuditRow, count: number): Message {
  const values = { app: appOf(row), count }
  return row.detail === 'silent'
    ? message('activity.family_opened_silently', values)
    : message('activity.family_opened', values)
}

function appOf({ appName, clientId }: ListedAuditRow): Message | string {
  return appName ?? clientId ?? message('activity.an_app')
}

function factorOf({ detail }: ListedAuditRow): Record<string, string> {
  return { ...readFactorDetail(detail) }
}

/** Done in the name of an operator, who has no browser here. */
function isByOperator({ actor }: ListedAuditRow): boolean {
  return actor !== null
}

function reasonOf(row: ListedAuditRow): Message {
  const cause = causeOf(row)
  return cause === null ? message('end_causes.unknown') : endWords(cause, row.address)
}

function toneOf(row: ListedAuditRow): ActivityTone {
  const cause = causeOf(row)
  return cause !== null && END_CAUSES[cause].alarming ? 'warning' : 'plain'
}

function causeOf({ cause }: ListedAuditRow): EndCause | null {
  return cause !== null && Object.hasOwn(END_CAUSES, cause) ? (cause as EndCause) : null
}

/** Whether nothing was checked at a refused attempt. */
export function isUnchecked(cause: string | null): boolean {
  return cause === 'throttled' || cause === 'ip_blocked'
}

/** In how many browsers these families were; a family that is forgotten counts as one. */
function browsersIn(rows: ListedAuditRow[]): number {
  return new Set(rows.map(({ familySessionId, familyId, id }) => familySessionId ?? familyId ?? id)).size
}
