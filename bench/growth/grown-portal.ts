import { randomBytes } from 'node:crypto'
import { openServices } from '../../src/main/services.ts'
import { readConfig } from '../../src/config.ts'
import type { Services } from '../../src/domain/services.ts'
import { createLogger } from '../../src/logger.ts'
import { OPERATOR_TIMEOUT_MS } from '../../src/storage/postgres.ts'
import { say } from '../output.ts'
import type { Crowd } from '../scenarios/scenario.ts'
import { startPortal } from '../subjects/portal.ts'
import type { Subject, SubjectOptions } from '../subjects/subject.ts'
import { fill } from './fill.ts'
import { clientsOf, type HeldFamily, holdFamilies } from './held-families.ts'

/** A portal with many users. */
export interface GrownPortal extends Subject {
  families: number
  /** The families whose refresh tokens this process has, divided among the clients. */
  held: HeldFamily[][]
  /** They refresh the held families. */
  crowd: Crowd
  /** The portal's rules on its database, in this process; its queries may take long. */
  rules: Services
  /** The same rules, without waiting for a commit to reach the disk. The caller closes them. */
  openHastyRules(): Promise<Services>
}

export async function startGrownPortal(families: number, options: SubjectOptions): Promise<GrownPortal> {
  const { databaseUrl } = options
  const env = { GATEHOUSE_SECRET: randomBytes(48).toString('base64url') }
  const openRules = async (url: string) =>
    openServices(readConfig({ ...env, DATABASE_URL: url }), createLogger('silent'), undefined, OPERATOR_TIMEOUT_MS)

  const startedAt = performance.now()
  const portal = await startPortal({ ...options, env: { ...options.env, ...env } }, async (apps) =>
    fill(
      databaseUrl,
      families,
      apps.map(({ id }) => id),
    ),
  )
  try {
    const rules = await openRules(databaseUrl)
    const held = await holdFamilies(rules, portal.apps, families)
    await settle(rules)
    say(`${families} families in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    return {
      ...portal,
      families,
      held,
      crowd: { clients: clientsOf(held, portal.host) },
      rules,
      async openHastyRules() {
        const url = new URL(databaseUrl)
        url.searchParams.set('options', '-c synchronous_commit=off')
        return openRules(url.href)
      },
      async stop() {
        await rules.storage.close()
        await portal.stop()
      },
    }
  } catch (error) {
    await portal.stop()
    throw error
  }
}

/** Completes the deferred work of filling (vacuum, checkpoint), so that none of it is measured. */
export async function settle({ storage }: Services): Promise<void> {
  await storage.pool.query('VACUUM (ANALYZE)')
  await storage.pool.query('CHECKPOINT')
}
