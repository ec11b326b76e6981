import type { Command } from 'commander'
import { readConfig, wrongSettings } from '../config.ts'
import { exportPortal } from '../domain/moving/exports.ts'
import { checkExport, importPortal } from '../domain/moving/imports.ts'
import { checkPassphrase } from '../domain/moving/passphrases.ts'
import { readEnvironment } from '../settings/environment.ts'
import { CommandRefused } from './command-refused.ts'
import { openExportFile, writeExportFile } from './export-files.ts'
import { note, onPortal, print } from './output.ts'
import { readStartedConfig } from './started-portal.ts'
import { readVersion } from '../domain/version.ts'

/** `export` and `import`. */
export function addMovingCommands(program: Command): void {
  onPortal(
    program
      .command('export <file>')
      .description(
        'Write the whole portal into one file, - for standard output, encrypted with GATEHOUSE_EXPORT_PASSPHRASE.',
      )
      .option('--force', 'replace the file if there is one'),
    async (services, file: string, { force = false, json }: { force?: boolean; json?: boolean }) => {
      const passphrase = readPassphrase()
      const { id, rows, livingFamilies } = await writeExportFile(file, { passphrase, force }, async (write) =>
        exportPortal(services, readVersion(), write),
      )
      if (livingFamilies > 0)
        note(
          `${livingFamilies} connections of apps end when the file is imported. Stop this portal before the new one starts: what happens here after the export is not in the file.`,
        )
      // Standard output has the file itself.
      if (file !== '-') print({ id, file, ...contentsOf(rows), living_families: livingFamilies }, json)
    },
    async () => {
      await checkPassphrase(readPassphrase())
      return readStartedConfig()
    },
  )

  onPortal(
    program
      .command('import <file>')
      .description(
        'Continue the portal that a file of "gatehouse export" contains, - for standard input, in a new one. After an interruption it can be run again.',
      ),
    async (services, file: string, { json }: { json?: boolean }) => {
      const exported = await openExportFile(file, readPassphrase())
      try {
        const checked = await checkExport(services, exported.lines())
        const { id, issuer, made_at: madeAt } = checked.header
        const imported = await importPortal(services, checked, exported.lines())
        noteIssuer(issuer, services.publicUrl)
        if (imported.kind === 'imported-before') note(`this file was imported before, at ${imported.at.toISOString()}`)
        const outcome = imported.kind === 'imported' && imported.resumed ? 'resumed' : imported.kind
        const ended = imported.kind === 'imported' ? { ended_families: imported.endedFamilies } : {}
        print({ id, outcome, issuer, made_at: madeAt, ...contentsOf(checked.end.rows), ...ended }, json)
      } finally {
        await exported.close()
      }
    },
    async () => {
      readPassphrase()
      // An empty database is what it is for, so it may make the portal, as `serve` does.
      return readConfig()
    },
  )
}

/** @throws ConfigError, or CommandRefused where there is none */
function readPassphrase(): string {
  const { values, faults } = readEnvironment(process.env)
  const ours = faults.filter((fault) => fault.startsWith(NAME))
  if (ours.length > 0) throw wrongSettings(ours)
  const passphrase = values[NAME]
  if (passphrase === null)
    throw new CommandRefused(`${NAME} must be set, or ${NAME}_FILE to a file with the passphrase`)
  return passphrase
}

const NAME = 'GATEHOUSE_EXPORT_PASSPHRASE'

/** What operators count. */
function contentsOf(rows: Record<string, number>): Record<string, number> {
  const { identities = 0, groups = 0, apps = 0, apis = 0, families = 0 } = rows
  return { identities, groups, apps, apis, families }
}

function noteIssuer(theirs: string, ours: string): void {
  if (theirs === ours) return
  note(`the file is of ${theirs}, and this portal is ${ours}: its apps and APIs must learn the new issuer`)
  const [before, now] = [theirs, ours].map((url) => new URL(url).hostname)
  if (before !== now) note(`passkeys of ${before} do not work on ${now}`)
}
