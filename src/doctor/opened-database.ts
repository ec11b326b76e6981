import type { Config } from '../config.ts'
import { settleTls } from '../storage/database-url.ts'
import { hasEmbedded, startEmbedded } from '../storage/embedded/embedded.ts'
import { openJobs } from '../storage/jobs.ts'
import { openPostgres } from '../storage/postgres.ts'
import type { Patient } from './patient.ts'

const TIMEOUTS = { connection: 4000, query: 10_000 }

export interface OpenedDatabase {
  storage: Patient['storage']
  close(): Promise<void>
}

/** Opens the database as it is: it is not migrated. Null where none has been made. @throws Error when it does not answer */
export async function openDatabase({
  databaseUrl,
  dataDir,
  preparedStatements,
}: Config): Promise<OpenedDatabase | null> {
  if (databaseUrl === null && !(await hasEmbedded(dataDir))) return null
  const embedded = databaseUrl === null ? await startEmbedded(dataDir) : null
  const url = embedded?.url ?? (await settleTls(databaseUrl as string))
  const { pool, prisma, close } = openPostgres(url, () => {}, TIMEOUTS, { preparedStatements })
  const jobs = openJobs(pool, () => {})
  return {
    storage: { pool, prisma, jobs },
    async close() {
      await jobs.close()
      await close()
      await embedded?.leave()
    },
  }
}
