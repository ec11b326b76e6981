import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { quote } from './command.ts'
import { refuseAfterSignal, stopBeforeExit } from './shutdown.ts'

export interface ServerOptions {
  folder: string
  /** Asks for a fast, clean stop; what follows if it is ignored. */
  endSignal: NodeJS.Signals
  killSignal: NodeJS.Signals
  /** Its standard input. */
  input?: string
  user?: User | null
}

export interface User {
  uid: number
  gid: number
}

export interface ServerProcess {
  /** Waits until `ask` succeeds, and returns its answer; rejects once the server has ended or after half a minute. */
  ready: <Answer>(ask: () => Promise<Answer>) => Promise<Answer>
  stop: () => Promise<void>
}

const START_LIMIT = 30_000
const STOP_LIMIT = 10_000
const KEPT_OUTPUT = 20_000

/** Starts a server that lives until `stop`, and never longer than this process. */
export function launch(program: string, args: string[], options: ServerOptions): ServerProcess {
  refuseAfterSignal()
  const child = spawn(program, args, {
    cwd: options.folder,
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group of its own: Ctrl-C must not end the server before the tests have closed their connections.
    detached: true,
    ...(options.user ? { uid: options.user.uid, gid: options.user.gid } : {}),
  })
  const name = basename(program)
  let failure = ''
  let output = ''
  const keep = (text: string) => (output = (output + text).slice(-KEPT_OUTPUT))
  const hasEnded = () => failure !== '' || child.exitCode !== null || child.signalCode !== null
  const kill = () => child.kill(options.killSignal)

  child.on('error', (error) => (failure = error.message))
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  child.stdin.on('error', () => undefined).end(options.input ?? '')
  process.once('exit', kill)

  const stop = stopBeforeExit(async () => {
    process.off('exit', kill)
    if (hasEnded()) return
    const ended = once(child, 'exit')
    child.kill(options.endSignal)
    const timer = setTimeout(kill, STOP_LIMIT)
    await ended
    clearTimeout(timer)
  })

  async function ready<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const deadline = Date.now() + START_LIMIT
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        const state = hasEnded() ? 'ended at once' : Date.now() > deadline ? 'does not answer' : null
        const reason = failure || messageOf(error)
        if (state !== null) throw new Error(`${name} ${state} (${reason})${quote(output)}`, { cause: error })
      }
      await sleep(50)
    }
  }

  return { ready, stop }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
