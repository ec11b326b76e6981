import type { Services } from '../domain/services.ts'

/** The options that all protocol cookies share; their paths and lives differ. */
export function protocolCookie({ publicUrl }: Services) {
  return { signed: true, httpOnly: true, sameSite: 'lax', secure: publicUrl.startsWith('https:') } as const
}
