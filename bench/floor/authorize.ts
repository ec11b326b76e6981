import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { epochSeconds } from '../../src/domain/time.ts'
import { findApp } from '../../src/storage/apps.ts'
import { answerJson, type Floor, redirect } from './request.ts'
import { signedInOf } from './session.ts'

export const CODE = 'FloorCode'
const CODE_LIFE = 60

/** What a code stands for. */
export interface CodeRecord {
  familyId: string
  clientId: string
  identityId: string
  identitySessionId: string
  challenge: string
  nonce: string
  scope: string
  authTime: number
}

/** The authorization of a signed-in browser, answered with a code. */
export async function authorize(
  floor: Floor,
  req: IncomingMessage,
  res: ServerResponse,
  query: URLSearchParams,
): Promise<void> {
  const { storage, publicUrl } = floor.services
  const signedIn = await signedInOf(floor, req)
  const app = await findApp(storage, query.get('client_id') ?? '')
  const redirectUri = query.get('redirect_uri') ?? ''
  if (signedIn === null || app === null || !app.redirectUris.includes(redirectUri)) return answerJson(res, 400, '{}')

  const code = randomBytes(32).toString('base64url')
  const record: CodeRecord = {
    familyId: randomUUID(),
    clientId: app.clientId,
    identityId: signedIn.identityId,
    identitySessionId: signedIn.id,
    challenge: query.get('code_challenge') ?? '',
    nonce: query.get('nonce') ?? '',
    scope: query.get('scope') ?? '',
    authTime: epochSeconds(signedIn.createdAt),
  }
  await storage.protocolRecords.put(CODE, code, record, CODE_LIFE)
  const answer = new URLSearchParams({ code, state: query.get('state') ?? '', iss: publicUrl })
  redirect(res, `${redirectUri}?${answer}`)
}
