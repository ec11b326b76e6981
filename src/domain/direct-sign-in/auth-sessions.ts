import { randomBytes } from 'node:crypto'
import type { Services } from '../services.ts'
import { addSeconds, secondsUntil } from '../time.ts'
import type { Progress } from './steps/step.ts'

/** How long a direct sign-in may take (seconds), however many steps it has. */
export const DIRECT_SIGN_IN_LIFE = 600

export const AUTH_SESSION_KIND = 'AuthSession'
const RANDOM_BYTES = 32

/** A direct sign-in between two steps. The stores have it by the hash of its `auth_session`, which works for one step. */
export interface AuthSession {
  clientId: string
  /** The parameters of the authorization request, PKCE challenge included, as the app sent them first. */
  request: Record<string, string | string[]>
  /** Thumbprint of the key whose DPoP proof came with the first request (RFC 9449 §6.1); null for none. */
  jkt: string | null
  /** Thumbprint of the certificate of the first request, of an app whose tokens are bound to it (RFC 8705 §3.1). */
  x5t: string | null
  progress: Progress
  /** ISO 8601; a next step does not move it. */
  endsAt: string
}

/** When a direct sign-in that begins now must be complete. */
export function endOfDirectSignIn(services: Services): string {
  return addSeconds(services.clock(), DIRECT_SIGN_IN_LIFE).toISOString()
}

/** A new `auth_session`; nothing is stored under it yet. */
export function mintAuthSession(): string {
  return randomBytes(RANDOM_BYTES).toString('base64url')
}

export async function keepAuthSession(services: Services, secret: string, session: AuthSession): Promise<void> {
  const seconds = secondsUntil(new Date(session.endsAt), services.clock())
  await services.storage.protocolRecords.put(AUTH_SESSION_KIND, secret, session, seconds)
}

/** Null for one that is unknown, used or expired. */
export async function findAuthSession(services: Services, secret: string): Promise<AuthSession | null> {
  const found = await services.storage.protocolRecords.find(AUTH_SESSION_KIND, secret)
  if (found === null || found.consumed) return null
  const session = found.payload as unknown as AuthSession
  return new Date(session.endsAt) > services.clock() ? session : null
}

/** True for the one step that uses it, however many race. */
export async function useAuthSession({ storage }: Services, secret: string): Promise<boolean> {
  return storage.protocolRecords.consume(AUTH_SESSION_KIND, secret)
}
