// direct-sign-in/: users who sign in inside an app of the organisation, without a page of the portal
// (draft-ietf-oauth-first-party-apps).
//
// It owns the steps of such a sign-in, their order, and what is kept between two of them.
// It leaves what proves a user to `sign-in/`, and the protocol to `oidc/`.

import { createHash } from 'node:crypto'
import type { AppRow } from '../apps/apps.ts'
import type { ClientInfo } from '../client-info.ts'
import { findIdentity } from '../identities/identities.ts'
import { ipKey } from '../limits/ip-keys.ts'
import type { Services } from '../services.ts'
import {
  findLivingIdentitySession,
  openIdentitySession,
  type SignedInRow,
  stillCounts,
} from '../sign-in/identity-sessions.ts'
import { agentOfApp } from '../user-agents.ts'
import { access } from './steps/access.ts'
import { emailAddress } from './steps/email-address.ts'
import { firstFactor } from './steps/first-factor.ts'
import { mailSignIn } from './steps/mail-sign-in.ts'
import { notice } from './steps/notice.ts'
import { registration } from './steps/registration.ts'
import { secondFactor } from './steps/second-factor.ts'
import { terms } from './steps/terms.ts'
import type { AppDevice, DirectSignIn, Progress, Step, StepOutcome } from './steps/step.ts'

/** In this order: each has what those before it have found. */
const STEPS: Step[] = [registration, mailSignIn, firstFactor, secondFactor, access, emailAddress, terms, notice]

export type DirectSignInOutcome =
  | { kind: 'signed-in'; signedIn: SignedInRow }
  /** Where a step is missing, `progress` is what was done, with this request. */
  | (Exclude<StepOutcome, { kind: 'passed' }> & { progress: Progress })

/**
 * Goes on with a direct sign-in as far as the answers reach, and opens its identity session when nothing is missing. No browser
 * gets a cookie for that session: it is what the family of the app follows, and it ends with the last family in it.
 * @throws Overloaded
 */
export async function directSignIn(services: Services, direct: DirectSignIn): Promise<DirectSignInOutcome> {
  let { progress } = direct
  if (!(await isStillProved(services, progress))) return { kind: 'lapsed', progress }
  for (const step of STEPS) {
    const outcome = await step(services, { ...direct, progress })
    if (outcome.kind !== 'passed') return { progress, ...outcome }
    ;({ progress } = outcome)
  }
  const { proof } = progress
  const { app, clientInfo, device } = direct
  const id = proof && (await openIdentitySession(services, proof, clientInfo, null, device.hash, app.clientId))
  const signedIn = id && (await findLivingIdentitySession(services, id, clientInfo))
  return signedIn ? { kind: 'signed-in', signedIn } : { kind: 'lapsed', progress }
}

/** The client of a direct sign-in, as the user will read it: with the name of the app. */
export function clientOfApp({ name }: AppRow, clientInfo: ClientInfo): ClientInfo {
  return { ...clientInfo, browser: agentOfApp(name, clientInfo.browser) }
}

/**
 * The installation of an app as a device: by the key of its DPoP proof, or, without one, by what it says of itself and by its IP
 * address, which anyone may repeat.
 * @param jkt the thumbprint of a key that this request has proved; null for none
 */
export function deviceOfApp({ clientId }: AppRow, { browser, address }: ClientInfo, jkt: string | null): AppDevice {
  const marks = jkt === null ? ['client', clientId, browser, ipKey(address)] : ['key', clientId, jkt]
  return { hash: createHash('sha256').update(JSON.stringify(marks)).digest(), isProven: jkt !== null }
}

/** False after a new password, a sign-out everywhere, or the end of the account, which a step must not outlive. */
async function isStillProved(services: Services, { proof }: Progress): Promise<boolean> {
  if (proof === null) return true
  const identity = await findIdentity(services, proof.identityId)
  return identity !== null && identity.disabledAt === null && stillCounts(proof, identity)
}
