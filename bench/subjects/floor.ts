import { startLikePortal } from './portal.ts'
import type { Subject, SubjectOptions } from './subject.ts'

/** What the same answers cost when nothing but the SQL and the cryptography is left. */
export async function startFloor(options: SubjectOptions): Promise<Subject> {
  return startLikePortal(
    { name: 'floor', args: ['bench/floor/server.ts'], readyPath: '/oauth/jwks', readyLine: '' },
    options,
  )
}
