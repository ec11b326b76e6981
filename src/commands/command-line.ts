import { Command, CommanderError } from 'commander'
import { ConfigError } from '../config.ts'
import { AppRefused } from '../domain/apps.ts'
import { addAppCommands } from './app.ts'
import { addKeysCommands } from './keys.ts'
import { addMigrateCommand } from './migrate.ts'
import { CommandRefused } from './output.ts'
import { addServeCommand } from './serve.ts'
import { addUserCommands } from './user.ts'

/** Runs one command. @returns the exit code; what went wrong has been said on standard error. */
export async function runCommandLine(argv: string[]): Promise<number> {
  const program = new Command('gatehouse')
    .description('A self-hosted identity portal.')
    .showHelpAfterError()
    .exitOverride()
  addServeCommand(program)
  addMigrateCommand(program)
  addAppCommands(program)
  addUserCommands(program)
  addKeysCommands(program)

  try {
    await program.parseAsync(argv)
    return 0
  } catch (error) {
    // Commander has printed its own already.
    if (error instanceof CommanderError) return error.exitCode
    const isExpected = error instanceof ConfigError || error instanceof AppRefused || error instanceof CommandRefused
    process.stderr.write(isExpected ? `${error.message}\n` : `gatehouse: ${describe(error)}\n`)
    return 1
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  const inner = error instanceof AggregateError ? error.errors.map((each) => (each as Error).message).join('; ') : ''
  return `${error.message || inner || error.name}${cause}`
}
