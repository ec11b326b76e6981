import type { ServerResponse } from 'node:http'
import { epochSeconds } from '../../src/domain/time.ts'
import { answerJson, type Floor } from './request.ts'

interface Row {
  username: string
  email: string
  emailVerified: boolean
}

/** The claims of the token, while its family is active. */
export async function introspect(floor: Floor, res: ServerResponse, token: string): Promise<void> {
  const { claims, person } = await findLiving(floor, token)
  const body =
    claims === null || person === null ? { active: false } : { active: true, ...claims, token_type: 'Bearer' }
  answerJson(res, 200, JSON.stringify(body))
}

/** The user of the token, while its family is active. */
export async function userinfo(floor: Floor, res: ServerResponse, token: string): Promise<void> {
  const { claims, person } = await findLiving(floor, token)
  if (claims === null || person === null) return answerJson(res, 401, '{"error":"invalid_token"}')
  answerJson(
    res,
    200,
    JSON.stringify({
      sub: claims.sub,
      name: person.username,
      preferred_username: person.username,
      email: person.email,
      email_verified: person.emailVerified,
    }),
  )
}

/** One signature verified, one statement. */
async function findLiving({ services, signer }: Floor, token: string) {
  const claims = signer.verified(token)
  const now = services.clock()
  if (claims === null || claims.exp <= epochSeconds(now)) return { claims: null, person: null }
  const { rows } = await services.storage.pool.query<Row>({
    name: 'floor-family',
    text: `SELECT i.username, i.email, i.email_verified AS "emailVerified"
           FROM families f JOIN identities i ON i.id = f.identity_id JOIN apps a ON a.client_id = f.client_id
           WHERE f.id = $1 AND f.ended_at IS NULL AND f.idle_expires_at > $2 AND f.expires_at > $2
             AND i.disabled_at IS NULL AND a.disabled_at IS NULL`,
    values: [claims.fam, now],
  })
  return { claims, person: rows[0] ?? null }
}
