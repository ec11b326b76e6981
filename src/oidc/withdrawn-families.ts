import { endFamilies } from '../domain/endings/endings.ts'
import type { Place } from '../domain/client-info.ts'
import type { Portal } from '../domain/services.ts'

const KIND = 'Withdrawn'
/** How long a code may still be in an exchange after it was seen twice (seconds). */
const CODE_LIFE = 120

/** A code was shown twice: the family it opened ends, and one it is just about to open will not stand (RFC 6749 §4.1.2). */
export async function withdrawFamily(portal: Portal, familyId: string, place: Place | null): Promise<void> {
  await portal.storage.handshakes.put(KIND, familyId, {}, CODE_LIFE)
  await endFamilies(portal, { id: familyId }, 'code_reuse', place)
}

export async function isWithdrawn(portal: Portal, familyId: string): Promise<boolean> {
  return (await portal.storage.handshakes.find(KIND, familyId)) !== null
}
