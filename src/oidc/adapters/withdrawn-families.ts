import { endFamilies } from '../../domain/endings/endings.ts'
import type { ClientInfo } from '../../domain/client-info.ts'
import type { Services } from '../../domain/services.ts'

const KIND = 'Withdrawn'
/** How long a code may still be in an exchange after it was used twice (seconds). */
const REPLAY_MEMORY = 120

/**
 * A code was used twice: the family it opened ends, and one it is about to open will be revoked (RFC 6749 §4.1.2, code replay).
 */
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
