// accounts/: what users do with their accounts: change of password and e-mail address, recovery, export, deletion, erasure,
// "this wasn't me" reports.
//
// It owns what each of them ends, and the composition of queued mails (`mail-delivery.ts`).
// It leaves signing in to `sign-in/`, what a password must be to `passwords/`, and the sending of mail to `mail/`.

import type { Message } from '../../i18n/messages.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { lockIdentity, updatePasswordHash } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { ipKey } from '../limits/ip-keys.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { admitNewPassword } from '../limits/login-throttling.ts'
import { holdSignIn, LAPSED, type Lapsed, type SignedInRow } from '../sign-in/identity-sessions.ts'
import { queueMail } from '../mail-jobs.ts'
import { judgeNewPassword, setInSource, setsPasswordOf } from './new-passwords.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { signIn, type SignInOutcome } from '../sign-in/sign-in.ts'

/** The current and the new password of a signed-in user, and the client they come from. */
export interface PasswordChange {
  current: string
  password: string
  clientInfo: ClientInfo
  /** The device of this browser, which alone stays known. */
  deviceHash: Buffer | null
}

export type PasswordChangeOutcome =
  | { kind: 'changed' }
  | { kind: 'refused'; problem: Message; verdict: PasswordVerdict }
  /** The typed current password is wrong, or may not be checked now (login throttling). */
  | Extract<SignInOutcome, { kind: 'wrong-credentials' | 'throttled' }>
  /** The password of a user of the identity source, which sets none, or whose user cannot be let in. */
  | { kind: 'elsewhere' }

/**
 * Changes the password of a user who knows the current one. Every other identity session ends, and every family, also in this
 * browser. The identity session of this browser is left for the caller to replace. The password of a user of the identity source is
 * set there. @throws Overloaded, SourceUnavailable
 */
export async function changePassword(
  services: Services,
  signedIn: SignedInRow,
  { current, password, clientInfo, deviceHash }: PasswordChange,
): Promise<PasswordChangeOutcome | Lapsed> {
  if (signedIn.sourceId !== null && !setsPasswordOf(services, signedIn)) return { kind: 'elsewhere' }
  const attempt = { login: signedIn.username, password: current, clientInfo, deviceHash }
  const proof = await signIn(services, { ...attempt, confirms: 'password-change' })
  if (proof.kind === 'wrong-credentials' || proof.kind === 'throttled') return proof
  if (proof.kind === 'not-admitted') return { kind: 'elsewhere' }
  const { identity } = proof
  const admission = await admitNewPassword(services, identity.id)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const verdict = await judgeNewPassword(services, identity, password, clientInfo)
  if (verdict.problem !== null) return { kind: 'refused', problem: verdict.problem, verdict }

  const { id: identityId } = identity
  const { standsAlone } = verdict
  const source = ipKey(clientInfo.address)
  const problem = await setInSource(services, identity, password)
  if (problem !== null) return { kind: 'refused', problem, verdict: { ...verdict, problem } }
  const to = identity.sourceId === null ? await services.hasher.hash(password, source) : services.hasher.unusable()
  const now = services.clock()
  const change = async (from: string): Promise<PasswordChangeOutcome | Lapsed | Outdated> =>
    transaction(services.storage.pool, async (db) => {
      const row = await lockIdentity(db, identityId)
      if (row !== null && row.passwordHash !== from)
        return { kind: 'outdated', passwordHash: row.passwordHash } as const
      if (!(await holdSignIn(services, db, signedIn, 'living'))) return LAPSED
      await updatePasswordHash(db, identityId, { from, to, standsAlone }, now)
      await deleteDevices(db, identityId, { except: deviceHash })
      await deleteMailLinks(db, identityId, ['reset-password', 'change-address', 'sign-in'])
      await insertAuditEvents(db, [{ kind: 'password_changed', identityId, ...clientInfo }], now)
      await endEverythingIn(services, db, identityId, { cause: 'password_changed', clientInfo }, now, signedIn.id)
      await queueMail(services, { kind: 'password-changed', identityId, clientInfo, at: now.toISOString() }, db)
      return { kind: 'changed' } as const
    })

  let outcome = await change(identity.passwordHash)
  // Either a sign-in has hashed the same password anew, or a reset or another change came first and the typed one is now wrong.
  while (outcome.kind === 'outdated') {
    const { passwordHash } = outcome
    if (identity.sourceId === null && !(await services.hasher.matches(passwordHash, current, source)))
      return { kind: 'wrong-credentials', ipBlock: null }
    outcome = await change(passwordHash)
  }
  return outcome
}

/** The hash is another one by now. */
interface Outdated {
  kind: 'outdated'
  passwordHash: string
}
