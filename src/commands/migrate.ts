import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { startEmbedded } from '../storage/embedded.ts'
import { migrate } from '../storage/migrations.ts'
import { print } from './output.ts'

export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('Bring the database up to date. Starting the portal does the same.')
    .option('--json', 'print JSON and nothing else')
    .action(async ({ json }: { json?: boolean }) => {
      const config = readConfig()
      const embedded = config.databaseUrl === null ? await startEmbedded(config.dataDir) : null
      try {
        const url = config.databaseUrl ?? (embedded?.url as string)
        const applied = await migrate(config.migrationUrl ?? embedded?.ownerUrl ?? url, { portalUrl: url })
        print({ applied }, json)
      } finally {
        await embedded?.leave()
      }
    })
}
