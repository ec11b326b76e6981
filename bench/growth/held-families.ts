import type { Services } from '../../src/domain/services.ts'
import { hashRefreshToken, mintRefreshToken } from '../../src/domain/families/refresh-tokens.ts'
import { idOf } from '../../src/testing/portal/crowd.ts'
import type { VirtualClient } from '../load.ts'
import { basicAuthorization, formRequest } from '../requests.ts'
import { refreshTokenIn } from '../scenarios/refresh.ts'
import { MACHINE_CONCURRENCY } from '../scenarios/scenario.ts'
import type { Credentials } from '../subjects/subject.ts'

/** A family whose refresh token this process has. */
export interface HeldFamily {
  app: Credentials
  refreshToken: string
}

/** So many that a refresh hits a page that has not been used for long. */
const HELD = 20_000

/** Puts known tokens into families spread over the whole table. */
export async function holdFamilies(
  { storage, secrets }: Services,
  apps: Credentials[],
  families: number,
): Promise<HeldFamily[][]> {
  const { rows } = await storage.pool.query<{ id: string; clientId: string }>(
    `SELECT id, client_id AS "clientId" FROM families
     WHERE id = ANY (ARRAY(SELECT ${idOf('family', 'n')} FROM generate_series(0, $1::int - 1, $2::int) n))`,
    [families, Math.max(1, Math.floor(families / HELD))],
  )
  const held = rows.map(({ id, clientId }) => ({
    id,
    app: apps.find((app) => app.id === clientId) as Credentials,
    refreshToken: mintRefreshToken(id, secrets),
  }))
  await storage.pool.query(
    `UPDATE families f SET current_hash = held.hash, previous_hash = NULL, generation = 0, rotated_at = NULL
     FROM unnest($1::uuid[], $2::bytea[]) AS held (id, hash) WHERE f.id = held.id`,
    [held.map(({ id }) => id), held.map(({ refreshToken }) => hashRefreshToken(refreshToken))],
  )
  return Array.from({ length: MACHINE_CONCURRENCY }, (_, part) =>
    held.filter((_, index) => index % MACHINE_CONCURRENCY === part),
  )
}

/** Each client refreshes its families one after the other, in random order; no two clients share a family. */
export function clientsOf(held: HeldFamily[][], host: string): VirtualClient[] {
  return held.map((own) => {
    let chosen = 0
    return {
      next() {
        chosen = Math.floor(Math.random() * own.length)
        const family = own[chosen]
        if (family === undefined) return null
        const form = `grant_type=refresh_token&refresh_token=${family.refreshToken}`
        return formRequest(host, '/oauth/token', form, basicAuthorization(family.app))
      },
      accept({ status, body }) {
        const family = own[chosen] as HeldFamily
        const successor = status === 200 ? refreshTokenIn(body) : null
        if (successor === null || successor === family.refreshToken) {
          // The token may be used up all the same, and a second use would count as theft, not as a retry.
          own.splice(chosen, 1)
          return false
        }
        family.refreshToken = successor
        return true
      },
    }
  })
}
