import type { IncomingMessage } from 'node:http'
import { addSeconds } from '../../src/domain/time.ts'
import { findSignedIn, type SignedInRow } from '../../src/storage/identity-sessions.ts'
import type { Floor } from './request.ts'

/** The two reads behind every page: the session of the cookie, then its user. */
export async function signedInOf({ services }: Floor, req: IncomingMessage): Promise<SignedInRow | null> {
  const sid = /(?:^|; )identity=([^;]+)/.exec(req.headers.cookie ?? '')?.[1]
  if (sid === undefined) return null
  const { browserSessions } = services.storage
  const identitySessionId = await new Promise<string | undefined>((resolve, reject) => {
    browserSessions.get(sid, (error: unknown, found) =>
      error ? reject(new Error('no browser sessions', { cause: error })) : resolve(found?.identitySessionId),
    )
  })
  if (identitySessionId === undefined) return null
  const now = services.clock()
  return findSignedIn(
    services.storage,
    identitySessionId,
    now,
    addSeconds(now, -services.lifetimes.identitySessionIdle),
  )
}
