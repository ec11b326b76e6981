import { createHmac } from 'node:crypto'
import { decryptWithAny, encrypt } from './keys/encryption.ts'
import type { Services } from './services.ts'

/** How long the answer to a request with a key is kept (seconds). */
const KEPT_SECONDS = 24 * 60 * 60
/** After this time a request that was never answered, because its process died, may be sent again (seconds). */
const CLAIM_SECONDS = 60

const KIND = 'IdempotencyKey'

/** One request among those with the same key. */
export type KeyedRequest =
  | {
      kind: 'first'
      /**
       * To be called once, before the answer leaves; null for a refusal, which changed nothing and is not kept. It never throws: an
       * answer that cannot be kept is sent all the same.
       */
      settle(answer: object | null): Promise<void>
    }
  | { kind: 'repeated'; answer: object }
  /** The first one has not been answered yet. */
  | { kind: 'in-progress' }
  /** The key was used for something else. */
  | { kind: 'other-request' }

/**
 * Idempotency keys: of the requests with this key, in all processes, one acts, and those after it get its answer for a day. Answers
 * may hold secrets, so they are encrypted.
 * @param name what one key is for: the client, the operation and the key itself @param request all else that makes two requests the same
 */
export async function beginKeyedRequest(services: Services, name: string, request: string): Promise<KeyedRequest> {
  const { protocolRecords: records } = services.storage
  const id = digest(services, name)
  const body = digest(services, request)
  // A claim that expires between the two questions is claimed by the next round.
  for (;;) {
    if (await records.putOnce(KIND, id, { body }, CLAIM_SECONDS)) return { kind: 'first', settle }
    const payload = (await records.find(KIND, id))?.payload
    if (payload === undefined) continue
    if (payload['body'] !== body) return { kind: 'other-request' }
    const answer = open(services, id, payload['answer'])
    return answer === null ? { kind: 'in-progress' } : { kind: 'repeated', answer }
  }

  async function settle(answer: object | null): Promise<void> {
    try {
      if (answer === null) return await records.delete(KIND, id)
      const sealed = encrypt(JSON.stringify(answer), id, services.secrets[0].repeatedActEncryption)
      await records.put(KIND, id, { body, answer: sealed }, KEPT_SECONDS)
    } catch (error) {
      services.logger.warn({ error }, 'an answer could not be kept for its idempotency key')
    }
  }
}

/** Names and bodies may hold secrets, and are not stored. */
function digest({ secrets }: Services, text: string): string {
  return createHmac('sha256', secrets[0].repeatedActNames).update(text).digest('base64url')
}

function open({ secrets }: Services, id: string, sealed: unknown): object | null {
  if (typeof sealed !== 'string') return null
  const keys = secrets.map((each) => each.repeatedActEncryption)
  const opened = decryptWithAny(sealed, id, keys)
  return opened === null ? null : (JSON.parse(opened.plaintext) as object)
}
