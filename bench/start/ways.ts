import { makeTemporaryFolder, type TemporaryFolder } from '../../src/testing/services/temporary-folder.ts'

/** One way to start the portal. */
export interface Way {
  name: string
  /** The settings of the next start, beside the common ones. */
  settings(): Promise<Record<string, string>>
}

export interface Ways {
  all: Way[]
  /** Removes the folders of the embedded databases. */
  clean(): Promise<void>
}

/** In the order they take turns in: the new embedded database is then started once more. */
export function listWays(databaseUrl: string, redisUrl: string): Ways {
  const folders: TemporaryFolder[] = []
  const postgres = { DATABASE_URL: databaseUrl }
  const all: Way[] = [
    { name: 'PostgreSQL', settings: async () => postgres },
    { name: 'PostgreSQL and Redis', settings: async () => ({ ...postgres, REDIS_URL: redisUrl }) },
    {
      name: 'embedded, first start',
      async settings() {
        const folder = await makeTemporaryFolder('bench-embedded')
        folders.push(folder)
        return { DATA_DIR: folder.path }
      },
    },
    { name: 'embedded, second start', settings: async () => ({ DATA_DIR: folders.at(-1)?.path ?? '' }) },
    { name: 'PostgreSQL, WORKERS=2', settings: async () => ({ ...postgres, WORKERS: '2' }) },
  ]
  return { all, clean: async () => void (await Promise.all(folders.map((folder) => folder.remove()))) }
}
