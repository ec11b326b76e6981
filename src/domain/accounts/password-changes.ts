import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { lockIdentity, updatePasswordHash } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { addressKey } from '../limits/ip-keys.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { admitNewPassword } from '../limits/login-throttling.ts'
import { holdSignIn, LAPSED, type Lapsed, type SignedInRow } from '../sign-in/identity-sessions.ts'
import { queueMail } from '../mail-jobs.ts'
import { judgeNewPassword } from './new-passwords.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { Place } from '../client-info.ts'
import type { Portal } from '../services.ts'
import { signIn, type SignInOutcome } from '../sign-in/sign-in.ts'

/** What somebody typed who is signed in, and where. */
export interface PasswordChange {
  current: string
  password: string
  place: Place
  /** The device of this browser, which alone stays known. */
  deviceHash: Buffer | null
}

export type PasswordChangeOutcome =
  | { kind: 'changed' }
  | { kind: 'refused'; problem: string; verdict: PasswordVerdict }
  /** The current password is not the one that was typed, or may not be looked at now. */
  | Extract<SignInOutcome, { kind: 'wrong-credentials' | 'throttled' }>

/**
 * Changes the password of somebody who knows the one they have. Every other browser is signed out, and every app, in this
 * browser too, whose own identity session is left for the caller to replace. @throws Overloaded
 */
export async function changePassword(
  portal: Portal,
  signedIn: SignedInRow,
  { current, password, place, deviceHash }: PasswordChange,
): Promise<PasswordChangeOutcome | Lapsed> {
  const attempt = { login: signedIn.username, password: current, place, deviceHash }
  const proof = await signIn(portal, { ...attempt, confirms: 'password-change' })
  if (proof.kind === 'wrong-credentials' || proof.kind === 'throttled') return proof
  const { identity } = proof
  const admission = await admitNewPassword(portal, identity.id)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const verdict = await judgeNewPassword(portal, identity, password, place)
  if (verdict.problem !== null) return { kind: 'refused', problem: verdict.problem, verdict }

  const { id: identityId } = identity
  const { standsAlone } = verdict
  const source = addressKey(place.address)
  const to = await portal.hasher.hash(password, source)
  const now = portal.clock()
  const change = async (from: string): Promise<PasswordChangeOutcome | Lapsed | Outdated> =>
    transaction(portal.storage.pool, async (db) => {
      const row = await lockIdentity(db, identityId)
      if (row !== null && row.passwordHash !== from)
        return { kind: 'outdated', passwordHash: row.passwordHash } as const
      if (!(await holdSignIn(portal, db, signedIn, 'living'))) return LAPSED
      await updatePasswordHash(db, identityId, { from, to, standsAlone }, now)
      await deleteDevices(db, identityId, { except: deviceHash })
      await deleteMailLinks(db, identityId, ['reset-password', 'change-address'])
      await insertAuditEvents(db, [{ kind: 'password_changed', identityId, ...place }], now)
      await endEverythingIn(portal, db, identityId, { cause: 'password_changed', place }, now, signedIn.id)
      await queueMail(portal, { kind: 'password-changed', identityId, place, at: now.toISOString() }, db)
      return { kind: 'changed' } as const
    })

  let outcome = await change(identity.passwordHash)
  // A sign-in has hashed the same password anew, or a reset or another change has come first: then it is not the current one.
  while (outcome.kind === 'outdated') {
    const { passwordHash } = outcome
    if (!(await portal.hasher.matches(passwordHash, current, source)))
      return { kind: 'wrong-credentials', suspension: null }
    outcome = await change(passwordHash)
  }
  return outcome
}

/** The hash is another one by now. */
interface Outdated {
  kind: 'outdated'
  passwordHash: string
}
