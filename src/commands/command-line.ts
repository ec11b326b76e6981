import cluster from 'node:cluster'
import { CommanderError } from 'commander'
import { ConfigError } from '../config.ts'
import { Refused } from '../domain/refused.ts'
import { failAsWorker, WorkerFailed } from '../main/workers.ts'
import { ignoresUsualFile, loadEnvironmentFile } from '../settings/environment-file.ts'
import { CommandRefused } from './command-refused.ts'
import { createProgram, createServeProgram } from './program.ts'
import { repeatOptions } from './repeated-options.ts'

// Errors whose message is for the operator.
const EXPECTED = [ConfigError, Refused, CommandRefused, WorkerFailed]

/** Runs one command. @returns the exit code; the error has been printed to standard error */
export async function runCommandLine(argv: string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe)
  const program = argv[2] === 'serve' ? createServeProgram() : await createProgram()

  try {
    if (ignoresUsualFile() && !cluster.isWorker)
      process.stderr.write('gatehouse: .env is not read in production; to have it read, set ENV_FILE=.env\n')
    loadEnvironmentFile()
    await program.parseAsync(repeatOptions(argv))
    return 0
  } catch (error) {
    // Commander has printed its own error already.
    if (error instanceof CommanderError) return error.exitCode
    const isExpected = EXPECTED.some((kind) => error instanceof kind)
    const problem = isExpected ? (error as Error).message : `gatehouse: ${describe(error)}`
    if (cluster.isWorker) await failAsWorker(problem)
    process.stderr.write(`${problem}\n`)
    return 1
  }
}

/** EPIPE, as in `gatehouse family list | head`: the reader has closed the pipe, and the command has been carried out. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  const inner = error instanceof AggregateError ? error.errors.map((each) => (each as Error).message).join('; ') : ''
  return `${error.message || inner || error.name}${cause}`
}
