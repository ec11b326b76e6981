import type { ClientInfo } from '../client-info.ts'
import { findIdentity } from '../identities/identities.ts'
import {
  changeProfileIn,
  examineProfile,
  type Profile,
  profileOf,
  type ProfileProblems,
} from '../identities/profiles.ts'
import type { Services } from '../services.ts'
import { type Lapsed, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'

export type ProfileOutcome = { kind: 'changed' | 'unchanged' } | { kind: 'refused'; problems: ProfileProblems } | Lapsed

/** What a user has said. */
export async function findProfile(services: Services, identityId: string): Promise<Profile> {
  const identity = await findIdentity(services, identityId)
  return profileOf(identity)
}

/**
 * Changes what a user says about themselves; a field that is not named stays. Application tokens that contain what has changed
 * become stale. Nothing of it says who the user is, so no fresh sign-in is needed.
 */
export async function changeProfile(
  services: Services,
  signedIn: SignIn,
  typed: Partial<Profile>,
  clientInfo: ClientInfo,
): Promise<ProfileOutcome> {
  const { cleaned, problems } = examineProfile(typed)
  if (Object.keys(problems).length > 0) return { kind: 'refused', problems }

  return whileSignedIn(services, signedIn, 'living', (db) =>
    changeProfileIn(services, db, signedIn.identityId, cleaned, clientInfo),
  )
}
