import { insertAuditEvents } from '../storage/audit.ts'
import type { AuditKind } from './audit-events.ts'
import type { ClientInfo } from './client-info.ts'
import { mayWriteForbidden, mayWriteRefusal } from './limits/login-throttling.ts'
import type { Services } from './services.ts'

/** Why a sign-in or a confirmation was refused; the `cause` of its audit event. */
export const REFUSAL_REASONS = {
  unknown_account: 'no account has this user name or e-mail address, which is not written down',
  wrong_password: 'the password is wrong',
  wrong_code: 'the code of the authenticator app, the recovery code or the code from a mail is wrong',
  wrong_passkey: 'the answer of the passkey is wrong, or of a passkey that is not known',
  disabled: 'everything was right, and the account is disabled',
  password_expired: 'the password is right, and has expired in the identity source',
  not_taken_over:
    'the password is right in the identity source, and the user name or address belongs to another account',
  lapsed: 'everything was right, and the password, the factors or the sign-ins of the account had changed meanwhile',
  throttled: 'there were too many attempts before, and nothing was checked',
  ip_blocked: 'the IP address is blocked, and nothing was checked',
  unusable_link:
    'the sign-in link is for another browser, or for an account that is disabled or has another e-mail address now',
} as const

export type RefusalReason = keyof typeof REFUSAL_REASONS

export interface Refusal {
  kind: AuditKind
  /** Null where no account is known. */
  identityId: string | null
  cause: RefusalReason
  detail?: string | null
  clientInfo: ClientInfo
}

/** Writes down a refusal of what was checked. Login throttling bounds how many there are. */
export async function noteRefusal(services: Services, { clientInfo, ...event }: Refusal): Promise<void> {
  await insertAuditEvents(services.storage.pool, [{ ...event, ...clientInfo }], services.clock())
}

/** The same for what was not checked: a stranger can have it refused at will, so at most 60 an hour are written of an IP address. */
export async function noteUncheckedRefusal(services: Services, refusal: Refusal): Promise<void> {
  if (await mayWriteRefusal(services, refusal.clientInfo.address)) await noteRefusal(services, refusal)
}

/** Writes down that an operator, or a user on the pages of operators, was refused what they may not do: at most 60 an hour of each. */
export async function noteForbidden(services: Services, what: string): Promise<void> {
  const { operator } = services
  if (operator === null || !(await mayWriteForbidden(services, operator.id ?? operator.name))) return
  const event = { kind: 'operation_refused' as const, detail: what.slice(0, 200), actor: operator }
  await insertAuditEvents(services.storage.pool, [event], services.clock())
}
