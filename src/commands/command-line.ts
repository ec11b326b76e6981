import cluster from 'node:cluster'
import { Command, CommanderError } from 'commander'
import { ConfigError } from '../config.ts'
import { AppRefused } from '../domain/apps/app-refused.ts'
import { failAsWorker, WorkerFailed } from '../main/workers.ts'
import { CommandRefused } from './command-refused.ts'
import { loadEnvironmentFile } from './environment-file.ts'
import { repeatOptions } from './repeated-options.ts'
import { addServeCommand } from './serve.ts'
import { readVersion } from './version.ts'

// Their message is for the operator as it is.
const EXPECTED = [ConfigError, AppRefused, CommandRefused, WorkerFailed]

/** Runs one command. @returns the exit code; what went wrong has been said on standard error. */
export async function runCommandLine(argv: string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe)
  const program = new Command('gatehouse')
    .description('A self-hosted identity portal.')
    .version(readVersion())
    .showHelpAfterError()
    .exitOverride()
  addServeCommand(program)
  // The others stand on the rules and the stores, which `serve` loads only in processes that do serve.
  if (argv[2] !== 'serve') await addOtherCommands(program)

  try {
    loadEnvironmentFile()
    await program.parseAsync(repeatOptions(argv))
    return 0
  } catch (error) {
    // Commander has printed its own already.
    if (error instanceof CommanderError) return error.exitCode
    const isExpected = EXPECTED.some((kind) => error instanceof kind)
    const problem = isExpected ? (error as Error).message : `gatehouse: ${describe(error)}`
    if (cluster.isWorker) await failAsWorker(problem)
    process.stderr.write(`${problem}\n`)
    return 1
  }
}

async function addOtherCommands(program: Command): Promise<void> {
  const { addMigrateCommand } = await import('./migrate.ts')
  const { addAppCommands } = await import('./app.ts')
  const { addUserCommands } = await import('./user.ts')
  const { addFamilyCommands } = await import('./family.ts')
  const { addKeysCommands } = await import('./keys.ts')
  const { addSuspensionCommands } = await import('./suspension.ts')
  const { addNoticeCommands } = await import('./notice.ts')
  const { addWorkerCommand } = await import('./worker.ts')
  addMigrateCommand(program)
  addAppCommands(program)
  addUserCommands(program)
  addFamilyCommands(program)
  addKeysCommands(program)
  addSuspensionCommands(program)
  addNoticeCommands(program)
  addWorkerCommand(program)
}

/** Of `gatehouse family list | head`: what is left of the output is read by nothing, and the command has been carried out. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  const inner = error instanceof AggregateError ? error.errors.map((each) => (each as Error).message).join('; ') : ''
  return `${error.message || inner || error.name}${cause}`
}
