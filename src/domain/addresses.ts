import { z } from 'zod'
import type { Portal } from './portal.ts'

const address = z.email().max(254)

/** The words a person reads when this is no address mail can be sent to; null when it is one. */
export function addressProblem(email: string): string | null {
  return address.safeParse(email).success ? null : 'Enter an address like name@example.com.'
}

/** False for somebody who has to confirm their address before an app is connected. What is connected already goes on. */
export function mayConnectApps({ policy }: Portal, identity: { emailVerified: boolean }): boolean {
  return policy.emailVerification === 'optional' || identity.emailVerified
}
