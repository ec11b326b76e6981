import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { refuseAfterSignal, stopBeforeExit } from '../../src/testing/services/shutdown.ts'
import type { Browser } from '../../src/testing/browser/browser.ts'
import { Client } from '../../src/testing/browser/client.ts'
import { Connection } from '../connection.ts'
import { getRequest } from '../requests.ts'

export type SubjectName = 'portal' | 'floor' | 'stock' | 'typical'

/** A measured server, in a process of its own. */
export interface Subject {
  name: SubjectName
  pid: number
  port: number
  origin: string
  /** The value of its Host header. */
  host: string
  apps: Credentials[]
  /** The app whose application tokens this subject itself can check. */
  introspectedApp: Credentials
  /** A service with tokens of its own, which may exchange those of users where the subject can. */
  service: Credentials
  people: Person[]
  /** Extra parameters of a refresh, so that every subject signs exactly one token. */
  refreshExtra: string
  signIn(browser: Browser, person: Person): Promise<void>
  stop(): Promise<void>
}

/** The input for the scenarios; each kind starts it in its own way. */
export interface SubjectOptions {
  /** An empty database of its own. */
  databaseUrl: string
  redisUrl: string | null
  /** For its output. */
  folder: string
  /** See `Cores`. */
  prefix: string[]
  /** Where Node writes a CPU profile when it ends; null for none. */
  profileFolder: string | null
  /** Settings beside the usual ones. */
  env: Record<string, string>
}

export interface Credentials {
  id: string
  secret: string
}

export interface Person {
  username: string
  email: string
  password: string
}

export const REDIRECT_URI = 'https://notes.example.test/callback'
export const AUDIENCE = 'https://notes.example.test/api'
export const APP_IDS = ['notes', 'photos', 'maps', 'mail']
export const PEOPLE: Person[] = Array.from({ length: 20 }, (_, index) => ({
  username: `person-${index}`,
  email: `person-${index}@example.test`,
  password: `a brass relay in panel ${index} of seventy`,
}))

const START_LIMIT_MS = 30_000
const LOOK_EVERY_MS = 10
const ROOT = join(import.meta.dirname, '../..')

export interface Program {
  /** Of its log. */
  name: SubjectName | 'api' | 'source'
  /** What Node runs. */
  args: readonly string[]
  port: number
  /** Its environment, beside PATH. */
  env: Record<string, string>
  /** The URL that answers 200 once it is up. */
  readyPath: string
  /** What it must have printed as well; empty for nothing. */
  readyLine: string
}

export interface RunningProgram {
  pid: number
  /** From its start to the first 200. */
  readyMs: number
  stop(): Promise<void>
}

/** Runs a program of the repository until `stop`. */
export async function startProcess(
  { name, args, port, env, readyPath, readyLine }: Program,
  { folder, prefix }: Pick<SubjectOptions, 'folder' | 'prefix'>,
): Promise<RunningProgram> {
  refuseAfterSignal()
  const output = join(folder, `${name}.log`)
  const file = openSync(output, 'a')
  const [program, ...rest] = [...prefix, process.execPath, ...args] as [string, ...string[]]
  const startedAt = performance.now()
  const child = spawn(program, rest, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', file, file],
    // A process group of its own: Ctrl-C must not end it before its profile and its database are saved.
    detached: true,
  })
  const ended = once(child, 'exit')
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const stop = stopBeforeExit(async () => {
    process.off('exit', kill)
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const timer = setTimeout(kill, 15_000)
    await ended
    clearTimeout(timer)
  })

  const until = async (isReached: () => Promise<boolean>) => {
    while (!(await isReached())) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() - startedAt > START_LIMIT_MS) {
        await stop()
        throw new Error(`the ${name} did not start:\n${(await readFile(output, 'utf8')).slice(-3000)}`)
      }
      await sleep(LOOK_EVERY_MS)
    }
    return performance.now() - startedAt
  }
  const readyMs = await until(() => answers(port, readyPath))
  await until(async () => (await readFile(output, 'utf8')).includes(readyLine))
  return { pid: child.pid as number, readyMs, stop }
}

async function answers(port: number, path: string): Promise<boolean> {
  const connection = await Connection.open(port).catch(() => null)
  if (connection === null) return false
  const status = await new Promise<number | null>((resolve) => {
    const onAnswer = (answer: { status: number }) => resolve(answer.status)
    connection.ask(getRequest(`127.0.0.1:${port}`, path), onAnswer, () => resolve(null))
  })
  connection.close()
  return status === 200
}

/** The app's side, for what is prepared and not measured. */
export function clientOf(subject: Subject, app = subject.apps[0] as Credentials): Client {
  return new Client(subject.origin, app.id, app.secret, REDIRECT_URI)
}
