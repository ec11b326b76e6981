import type { Services } from '../domain/services.ts'

/** What all cookies of the protocol have in common; their paths and lives are their own. */
export function protocolCookie({ publicUrl }: Services) {
  return { signed: true, httpOnly: true, sameSite: 'lax', secure: publicUrl.startsWith('https:') } as const
}
