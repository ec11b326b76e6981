import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { epochSeconds } from '../../src/domain/time.ts'
import { answerJson, clientIdOf, type Floor } from './request.ts'

interface Grant {
  identifier: string
  scopes: string[]
}

/** One statement, one signature. */
export async function issueToService(floor: Floor, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const grant = await findGrant(floor, clientIdOf(req), 'request')
  if (grant === null) return answerJson(res, 400, '{"error":"invalid_target"}')
  const clientId = clientIdOf(req)
  answerToken(floor, res, { sub: clientId, client_id: clientId }, grant)
}

/** One signature verified, two statements, one signature. */
export async function exchangeToken(
  floor: Floor,
  req: IncomingMessage,
  res: ServerResponse,
  form: URLSearchParams,
): Promise<void> {
  const subject = floor.signer.verified(form.get('subject_token') ?? '')
  const grant = subject === null ? null : await findGrant(floor, clientIdOf(req), 'exchange')
  if (subject === null || grant === null || !(await lives(floor, subject.fam)))
    return answerJson(res, 400, '{"error":"invalid_request"}')
  const clientId = clientIdOf(req)
  answerToken(floor, res, { ...subject, client_id: clientId, act: { sub: clientId } }, grant)
}

async function findGrant({ services }: Floor, clientId: string, kind: string): Promise<Grant | null> {
  const { rows } = await services.storage.pool.query<Grant>({
    name: 'floor-grant',
    text: `SELECT g.identifier, g.scopes FROM apps a JOIN app_apis g ON g.client_id = a.client_id
           WHERE a.client_id = $1 AND a.disabled_at IS NULL AND g.kind = $2`,
    values: [clientId, kind],
  })
  return rows[0] ?? null
}

async function lives({ services }: Floor, familyId: string): Promise<boolean> {
  const { rowCount } = await services.storage.pool.query({
    name: 'floor-lives',
    text: `SELECT FROM families f JOIN identities i ON i.id = f.identity_id JOIN apps a ON a.client_id = f.client_id
           WHERE f.id = $1 AND f.ended_at IS NULL AND f.idle_expires_at > $2 AND f.expires_at > $2
             AND i.disabled_at IS NULL AND a.disabled_at IS NULL`,
    values: [familyId, services.clock()],
  })
  return rowCount === 1
}

function answerToken({ services, signer }: Floor, res: ServerResponse, claims: object, grant: Grant): void {
  const iat = epochSeconds(services.clock())
  const scope = grant.scopes.join(' ')
  const all = {
    ...claims,
    iss: services.publicUrl,
    aud: grant.identifier,
    iat,
    exp: iat + 300,
    jti: randomUUID(),
    scope,
  }
  const token = signer.applicationToken(all)
  answerJson(res, 200, JSON.stringify({ access_token: token, expires_in: 300, scope, token_type: 'Bearer' }))
}
