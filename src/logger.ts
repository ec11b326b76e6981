import { pino, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/**
 * JSON lines on standard output. Nothing is redacted because nothing secret is ever handed to it. Lines are written in
 * batches, at most `FLUSH_MS` late, because a system call for each would cost a refresh dearly; a process that exits
 * writes what is left.
 */
export function createLogger(level: string, destination: DestinationStream = standardOutput()): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (error: unknown) => describe(error) },
    },
    destination,
  )
}

const FLUSH_MS = 100

function standardOutput(): DestinationStream {
  return pino.destination({ dest: 1, sync: false, minLength: 16_000, periodicFlush: FLUSH_MS })
}

/** An error's name, message, code and stack; driver errors also carry parameters, which must not be written down. */
function describe(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const { code } = error as { code?: unknown }
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack,
    // A chain of causes can be a ring.
    ...(error.cause === undefined || depth > 3 ? {} : { cause: describe(error.cause, depth + 1) }),
  }
}
