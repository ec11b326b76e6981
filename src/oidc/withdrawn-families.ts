import { endFamilies } from '../domain/endings/endings.ts'
import type { ClientInfo } from '../domain/client-info.ts'
import type { Services } from '../domain/services.ts'

const KIND = 'Withdrawn'
/** How long a code may still be in an exchange after it was seen twice (seconds). */
const REPLAY_MEMORY = 120

/** A code was shown twice: the family it opened ends, and one it is just about to open will not stand (RFC 6749 §4.1.2). */
export async function withdrawFamily(
  services: Services,
  familyId: string,
  clientInfo: ClientInfo | null,
): Promise<void> {
  await services.storage.protocolRecords.put(KIND, familyId, {}, REPLAY_MEMORY)
  await endFamilies(services, { id: familyId }, 'code_reuse', clientInfo)
}

export async function isWithdrawn(services: Services, familyId: string): Promise<boolean> {
  return (await services.storage.protocolRecords.find(KIND, familyId)) !== null
}
