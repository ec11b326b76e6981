import { findIntroduction, insertIntroduction } from '../../storage/introductions.ts'
import type { Services } from '../services.ts'
import { type Lapsed, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'

/** Whether a user has read what an app sees of the account; asked only for an app that wants it read (`--first-time-notice`). */
export async function hasReadIntroduction(
  { storage }: Services,
  identityId: string,
  clientId: string,
): Promise<boolean> {
  return (await findIntroduction(storage, identityId, clientId)) !== null
}

/** Remembers that the signed-in user has read it. */
export async function readIntroduction(services: Services, signedIn: SignIn, clientId: string): Promise<void | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', (db) =>
    insertIntroduction(db, signedIn.identityId, clientId, services.clock()),
  )
}
