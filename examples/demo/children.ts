import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setInterval as every, setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface Child {
  name: string
  process: ChildProcess
  /** Settles when the process has ended. */
  end: Promise<ChildEnded>
  ended: ChildEnded | null
}

/** A part of the demo has ended unexpectedly. */
export class ChildEnded extends Error {
  readonly exitCode: number

  constructor(name: string, how: string, exitCode: number) {
    super(`The demo stops, because ${name} ended (${how}).`)
    this.exitCode = exitCode
  }
}

const PATIENCE = 120_000
const PATIENCE_AT_THE_END = 20_000

const children: Child[] = []
let isClosing = false

// No child is left behind on a port, however this process ends.
process.on('exit', () => children.filter((child) => !child.ended).forEach((child) => child.process.kill()))

/** Runs a script of this repository with the same Node.js, and prints its output with its name in front. */
export function startChild(name: string, script: string, words: string[], env: NodeJS.ProcessEnv): Child {
  if (isClosing) throw new Error(`${name} is not started any more.`)

  const started = spawn(process.execPath, [scriptPath(script), ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const child: Child = { name, process: started, ended: null, end: endOf(name, started) }
  void child.end.then((ended) => (child.ended = ended))
  children.push(child)

  printLines(name, started.stdout, console.log)
  printLines(name, started.stderr, console.error)
  return child
}

/** Waits until the child answers at `url`; throws when it ends instead. */
export async function untilReady(child: Child, url: string) {
  const patience = AbortSignal.timeout(PATIENCE)
  for await (const _ of every(150)) {
    if (await answers(url)) return
    if (child.ended) throw child.ended
    if (patience.aborted) throw new Error(`${child.name} does not answer at ${url}.`)
  }
}

/** Settles when one of them ends after all have started; whatever its exit code, that is a failure. */
export async function firstEnd(running: Child[]): Promise<Error> {
  const ended = await Promise.race(running.map((child) => child.end))
  return new Error(ended.message)
}

/** Stops the apps first, then the portal, which was started first. */
export async function stopChildren() {
  isClosing = true
  const [portal, ...apps] = children
  await Promise.all(apps.map(stop))
  if (portal) await stop(portal)
}

async function stop(child: Child) {
  child.process.kill('SIGTERM')
  await Promise.race([child.end, sleep(PATIENCE_AT_THE_END, null, { ref: false })])
  if (!child.ended) child.process.kill('SIGKILL')
}

export function scriptPath(script: string): string {
  return fileURLToPath(new URL(`../../${script}`, import.meta.url))
}

// 'exit' and not 'close': a grandchild (the embedded database) may hold the pipes open a little longer.
async function endOf(name: string, child: ChildProcess): Promise<ChildEnded> {
  const [code, signal] = await once(child, 'exit')
  return new ChildEnded(name, signal ? `signal ${signal}` : `exit code ${code}`, code ?? 1)
}

function printLines(name: string, stream: Readable, print: (line: string) => void) {
  createInterface({ input: stream }).on('line', (line) => print(`${name.padEnd(6)} | ${line}`))
}

async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await answer.body?.cancel()
    return answer.ok
  } catch {
    return false
  }
}
