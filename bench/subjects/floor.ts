import { startLikePortal } from './portal.ts'
import type { Subject, SubjectOptions } from './subject.ts'

/** The cost of the same answers with only the SQL and the cryptography. */
export async function startFloor(options: SubjectOptions): Promise<Subject> {
  return startLikePortal(
    { name: 'floor', args: ['bench/floor/server.ts'], readyPath: '/oauth/jwks', readyLine: '' },
    options,
  )
}
