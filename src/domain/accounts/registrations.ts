import type { ClientInfo } from '../client-info.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import { examineRegistration, type Registration, type RegistrationOutcome } from '../identities/identities.ts'
import { canonicalUserName, userNameProblem } from '../identities/user-names.ts'
import { mayMail } from '../limits/login-throttling.ts'
import { noteRefusal, type Refusal } from '../refusals.ts'
import type { Services } from '../services.ts'
import { signIn, type SignInOutcome } from '../sign-in/sign-in.ts'
import { registerStranger } from './stranger-registrations.ts'

/** The client that a registration comes from, and the terms of use that were accepted in it. */
export interface RegistrationContext {
  clientInfo: ClientInfo
  /** The device of the client, known to some identity or not. */
  deviceHash: Buffer | null
  termsVersion: string | null
  /** False where the address is about to be proved in another way than by the link of a mail. */
  asksForProof?: boolean
}

/**
 * Registers; or, with the e-mail address and the password of an account, signs in to that one, and its owner gets a mail.
 *
 * No account enumeration: a wrong password, a disabled account and too many attempts are answered like a free e-mail address,
 * after the same work. The password counts against login throttling before it is known to be wrong, so that guesses here and at
 * the sign-in count together. What is no e-mail address or no user name is not compared with any account. @throws Overloaded
 */
export async function registerOrSignIn(
  services: Services,
  registration: Registration,
  { clientInfo, deviceHash, termsVersion, asksForProof = true }: RegistrationContext,
): Promise<RegistrationOutcome | Extract<SignInOutcome, { kind: 'signed-in' | 'second-factor' }>> {
  const { username, email, password } = registration
  const terms = { termsVersion, asksForProof }
  const namesAccount =
    emailProblem(canonicalEmail(email)) === null && userNameProblem(canonicalUserName(username)) === null
  if (!namesAccount) return registerStranger(services, registration, clientInfo, terms)

  const known = await signIn(services, { login: email, password, clientInfo, deviceHash, registers: { username } })
  switch (known.kind) {
    case 'signed-in':
    case 'second-factor': {
      const { identity, proof } = known
      // An address that is not proved may be a stranger's, who must not be flooded with mail.
      const isTold = identity.emailKey !== null && (identity.emailVerified || (await mayMail(services, identity.email)))
      return { ...known, proof: { ...proof, registeredAgain: isTold ? 'told' : 'untold' } }
    }
    case 'not-admitted': {
      const { verdict } = await examineRegistration(services, registration, clientInfo)
      return { kind: 'refused', problems: { email: known.problem }, verdict }
    }
    case 'throttled':
      // Guesses at an address that has no account must not keep its owner from registering.
      return registerStranger(services, registration, clientInfo, terms)
    case 'wrong-credentials': {
      const { refusal } = known
      const outcome = await registerStranger(services, registration, clientInfo, {
        ...terms,
        events: eventsOf(refusal),
      })
      if (outcome.kind === 'refused' && refusal !== undefined) await noteRefusal(services, refusal)
      return outcome
    }
  }
}

/** A new account is no failed sign-in to an account that there is not. */
function eventsOf(refusal: Refusal | undefined) {
  if (refusal === undefined || refusal.identityId === null) return []
  const { clientInfo, ...event } = refusal
  return [{ ...event, ...clientInfo }]
}
