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
import { judgeNewPassword } from './new-passwords.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { signIn, type SignInOutcome } from '../sign-in/sign-in.ts'

/** What somebody typed who is signed in, and where. */
export interface PasswordChange {
  current: string
  password: string
  clientInfo: ClientInfo
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
  services: Services,
  signedIn: SignedInRow,
  { current, password, clientInfo, deviceHash }: PasswordChange,
): Promise<PasswordChangeOutcome | Lapsed> {
  const attempt = { login: signedIn.username, password: current, clientInfo, deviceHash }
  const proof = await signIn(services, { ...attempt, confirms: 'password-change' })
  if (proof.kind === 'wrong-credentials' || proof.kind === 'throttled') return proof
  const { identity } = proof
  const admission = await admitNewPassword(services, identity.id)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const verdict = await judgeNewPassword(services, identity, password, clientInfo)
  if (verdict.problem !== null) return { kind: 'refused', problem: verdict.problem, verdict }

  const { id: identityId } = identity
  const { standsAlone } = verdict
  const source = ipKey(clientInfo.address)
  const to = await services.hasher.hash(password, source)
  const now = services.clock()
  const change = async (from: string): Promise<PasswordChangeOutcome | Lapsed | Outdated> =>
    transaction(services.storage.pool, async (db) => {
      const row = await lockIdentity(db, identityId)
      if (row !== null && row.passwordHash !== from)
        return { kind: 'outdated', passwordHash: row.passwordHash } as const
      if (!(await holdSignIn(services, db, signedIn, 'living'))) return LAPSED
      await updatePasswordHash(db, identityId, { from, to, standsAlone }, now)
      await deleteDevices(db, identityId, { except: deviceHash })
      await deleteMailLinks(db, identityId, ['reset-password', 'change-address'])
      await insertAuditEvents(db, [{ kind: 'password_changed', identityId, ...clientInfo }], now)
      await endEverythingIn(services, db, identityId, { cause: 'password_changed', clientInfo }, now, signedIn.id)
      await queueMail(services, { kind: 'password-changed', identityId, clientInfo, at: now.toISOString() }, db)
      return { kind: 'changed' } as const
    })

  let outcome = await change(identity.passwordHash)
  // A sign-in has hashed the same password anew, or a reset or another change has come first: then it is not the current one.
  while (outcome.kind === 'outdated') {
    const { passwordHash } = outcome
    if (!(await services.hasher.matches(passwordHash, current, source)))
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
