import type { Command } from 'commander'
import { settleTls } from '../storage/database-url.ts'
import { startEmbedded } from '../storage/embedded/embedded.ts'
import { migrate } from '../storage/migrations.ts'
import { print } from './output.ts'
import { sayLocal } from './remote-settings.ts'
import { readStartedConfig, sayPortal } from './started-portal.ts'

export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('Bring the database up to date. Starting the portal does the same.')
    .option('--json', 'print JSON and nothing else')
    .action(async ({ json }: { json?: boolean }) => {
      sayLocal('migrate')
      const config = await readStartedConfig()
      sayPortal(config)
      const embedded = config.databaseUrl === null ? await startEmbedded(config.dataDir) : null
      try {
        const url = embedded?.url ?? (config.databaseUrl as string)
        const ownerUrl = await settleTls(config.migrationUrl ?? embedded?.ownerUrl ?? url)
        const applied = await migrate(ownerUrl, { portalUrl: url, auditRetention: config.lifetimes.auditRetention })
        print({ applied }, json)
      } finally {
        await embedded?.leave()
      }
    })
}
