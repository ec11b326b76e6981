import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { refuseAfterSignal, stopBeforeExit } from './shutdown.ts'

export interface CommandOptions extends Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid' | 'stdio'> {
  /** Milliseconds after which it is ended. */
  limit: number
  /** Gets the messages of an `ipc` channel. */
  onMessage?: (message: unknown) => void
  /** Must not be interrupted, such as a package manager: a signal to this process waits for it. */
  mustFinish?: boolean
  /** Part of the clean-up, and therefore allowed after the signal that ends this process. */
  cleansUp?: boolean
}

/** How long a program may take to stop before it is killed. */
const GRACE = 10_000
const KEPT_OUTPUT = 20_000

/**
 * Runs a program to its end and returns its output (nothing where `stdio` sends it elsewhere). It has a process group of its
 * own, so that its children end with it.
 * @throws Error with the end of its output, unless it exits with 0 within the limit.
 */
export async function run(program: string, args: string[], options: CommandOptions): Promise<string> {
  const { limit, onMessage, mustFinish = false, cleansUp = false, ...spawning } = options
  if (!cleansUp) refuseAfterSignal()
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...spawning, detached: true })
  const name = basename(program)
  const ended = ending(child)
  const stop = stopBeforeExit(() =>
    mustFinish
      ? ended.then(
          () => undefined,
          () => undefined,
        )
      : endGroup(child),
  )

  let output = ''
  const keep = (text: string) => (output = (output + text).slice(-KEPT_OUTPUT))
  child.stdout?.setEncoding('utf8').on('data', keep)
  child.stderr?.setEncoding('utf8').on('data', keep)
  if (onMessage !== undefined) child.on('message', onMessage)

  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    void endGroup(child)
  }, limit)

  try {
    const code = await ended
    if (isLate) throw new Error(`${name} was still running after ${Math.round(limit / 1000)} s${quote(output)}`)
    if (code !== 0) throw new Error(`${name} ended with ${code}${quote(output)}`)
    return output
  } finally {
    clearTimeout(timer)
    await stop()
  }
}

/** The exit code, or the name of the signal that ended it; rejects when it could not be started. */
function ending(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'no exit code'))
  })
}

/** Ends a process and its group, with SIGTERM first. */
async function endGroup(child: ChildProcess): Promise<void> {
  const deadline = Date.now() + GRACE
  let isThere = signalGroup(child, 'SIGTERM')
  while (isThere && Date.now() < deadline) {
    await sleep(20)
    isThere = signalGroup(child, 0)
  }
  if (isThere) signalGroup(child, 'SIGKILL')
}

/** False when no process of the group is left. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false
  try {
    return process.kill(-child.pid, signal)
  } catch {
    return false
  }
}

/** The end of an output, for an error message. */
export function quote(output: string): string {
  const lines = output.trim().split('\n').slice(-15)
  return lines.join('') === '' ? '' : `:\n${lines.map((line) => `      ${line}`).join('\n')}`
}
