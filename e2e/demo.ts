import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type APIRequestContext, test as base, expect } from '@playwright/test'
import { createDatabase, type StorageKind } from '../src/testing/portal/databases.ts'
import { ada } from '../src/testing/portal/people.ts'
import { findFreePort } from '../src/storage/embedded/free-port.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'

export { expect }

export interface Person {
  username: string
  email: string
  password: string
}

/** `npm run demo`, running for one test worker. */
export interface Demo {
  portal: string
  notes: string
  photos: string
  /** The user that the demo's banner names. */
  person: Pick<Person, 'username' | 'password'>
  /** Null: embedded, in its folder. */
  databaseUrl: string | null
  /** Its output so far, on both streams. */
  output: () => string
  /** Runs a command of the portal's command line beside it. */
  gatehouse: (...words: string[]) => Promise<unknown>
}

interface TestFixtures {
  /** A user with an account who is not signed in anywhere. */
  person: Person
  /** The browser's console errors and requests to other sites, of which a test must have none at its end. */
  complaints: string[]
}

interface WorkerFixtures {
  /** The stores of the portal. */
  storage: StorageKind
  /** Settings of the operator. */
  settings: Record<string, string>
  demo: Demo
}

const READY = 'Gatehouse and its two demo apps are ready.'
const START_LIMIT = 90_000
const STOP_LIMIT = 30_000

export const test = base.extend<TestFixtures, WorkerFixtures>({
  storage: ['embedded', { scope: 'worker', option: true }],
  settings: [{}, { scope: 'worker', option: true }],

  demo: [
    async ({ storage, settings }, use) => {
      const { demo, stop } = await startDemo(storage, settings)
      await use(demo)
      await stop()
    },
    { scope: 'worker', timeout: START_LIMIT + STOP_LIMIT },
  ],

  baseURL: async ({ demo }, use) => use(demo.portal),

  person: async ({ demo, playwright }, use) => {
    const name = `${ada.username}-${randomBytes(4).toString('hex')}`
    const person = { username: name, email: `${name}@example.test`, password: ada.password }
    const elsewhere = await playwright.request.newContext({ baseURL: demo.portal })
    await register(elsewhere, person)
    await elsewhere.dispose()
    await use(person)
  },

  complaints: [
    async ({ context }, use) => {
      const complaints: string[] = []
      context.on('weberror', (problem) => complaints.push(problem.error().message))
      context.on('console', (message) => {
        // Chromium logs the status of every refusal, and some pages here are meant to be refusals.
        const isRefusal = message.text().startsWith('Failed to load resource: the server responded with a status of 4')
        if (message.type() === 'error' && !isRefusal) complaints.push(message.text())
      })
      context.on('request', (request) => {
        const isHere = ['localhost', '127.0.0.1'].includes(new URL(request.url()).hostname)
        if (!isHere) complaints.push(`request to a stranger: ${request.url()}`)
      })
      await use(complaints)
      expect(complaints).toEqual([])
    },
    { auto: true },
  ],
})

async function register(browser: APIRequestContext, { username, email, password }: Person): Promise<void> {
  const form = { username, email, password, password_confirmation: password }
  const registered = await browser.post('/register', { form, maxRedirects: 0 })
  expect(registered.status(), await registered.text()).toBe(303)
  expect((await browser.post('/logout', { maxRedirects: 0 })).status()).toBe(303)
}

async function startDemo(
  storage: StorageKind,
  settings: Record<string, string>,
): Promise<{ demo: Demo; stop: () => Promise<void> }> {
  const database = storage === 'embedded' ? null : await createDatabase(storage)
  const folder = await makeTemporaryFolder('e2e')
  const [port, notesPort, photosPort] = [await findFreePort(), await findFreePort(), await findFreePort()]
  const env = {
    ...inherited(),
    PORT: String(port),
    NOTES_PORT: String(notesPort),
    PHOTOS_PORT: String(photosPort),
    DATA_DIR: folder.path,
    // All tests come from one IP address.
    REGISTRATIONS_PER_HOUR: '1000',
    // Secrets must stay out of the log at every level.
    LOG_LEVEL: 'trace',
    ...(database === null ? {} : { DATABASE_URL: database.databaseUrl }),
    ...(database?.redisUrl ? { REDIS_URL: database.redisUrl } : {}),
    ...settings,
  }
  const child = spawn(process.execPath, ['examples/demo.ts'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const tidyUp = async () => {
    await database?.drop()
    await folder.remove()
  }

  try {
    await untilReady(child, () => output)
  } catch (error) {
    await stopChild(child, ended)
    await tidyUp()
    throw error
  }

  return {
    demo: {
      portal: `http://localhost:${port}`,
      notes: `http://127.0.0.1:${notesPort}/`,
      photos: `http://127.0.0.1:${photosPort}/`,
      person: { username: wordAfter('User name', output), password: wordAfter('Password', output) },
      databaseUrl: database?.databaseUrl ?? null,
      output: () => output,
      gatehouse: async (...words) => {
        const command = await promisify(execFile)(process.execPath, ['src/gatehouse.ts', ...words, '--json'], { env })
        return JSON.parse(command.stdout)
      },
    },
    async stop() {
      try {
        expect(child.exitCode, `the demo ended before it was told to:\n${output.slice(-4000)}`).toBe(null)
        const family = await processesUnder(child.pid as number)
        expect(await stopChild(child, ended), output.slice(-4000)).toEqual({ code: 0, signal: null })
        await expect.poll(() => stillRunning(family), 'processes that outlive the demo').toEqual([])
        const listening = await Promise.all([port, notesPort, photosPort].map(isListening))
        expect(listening, 'ports that still answer').toEqual([false, false, false])
      } finally {
        await tidyUp()
      }
    },
  }
}

// Nothing else: a DATABASE_URL or NODE_ENV of the developer must not reach the demo.
function inherited(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'TMPDIR', 'SystemRoot']
  return Object.fromEntries(names.map((name) => [name, process.env[name]]))
}

async function untilReady(child: ChildProcess, output: () => string): Promise<void> {
  const limit = Date.now() + START_LIMIT
  // The banner is one write, but it may arrive in pieces; this is its last line.
  while (!(output().includes(READY) && output().includes('Ctrl-C stops everything.'))) {
    if (child.exitCode !== null || Date.now() > limit) throw new Error(`the demo did not start:\n${output()}`)
    await sleep(50)
  }
}

function wordAfter(label: string, output: string): string {
  const word = new RegExp(`^ +${label} +(\\S+)$`, 'm').exec(output)?.[1]
  if (word === undefined) throw new Error(`the banner of the demo names no ${label}:\n${output}`)
  return word
}

async function stopChild(child: ChildProcess, ended: Promise<unknown[]>) {
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT - 5000)
  const [code, signal] = await ended
  clearTimeout(patience)
  return { code, signal }
}

/** Children, grandchildren and so on. Only Linux lists them without a program; elsewhere the ports must do. */
async function processesUnder(ancestor: number): Promise<number[]> {
  const running = await listProcesses()
  const known = new Set([ancestor])
  for (let size = 0; size < known.size;) {
    size = known.size
    for (const { pid, parent } of running) if (known.has(parent)) known.add(pid)
  }
  return [...known]
}

async function stillRunning(family: number[]): Promise<number[]> {
  const running = new Set((await listProcesses()).map(({ pid }) => pid))
  return family.filter((pid) => running.has(pid))
}

async function listProcesses(): Promise<{ pid: number; parent: number }[]> {
  const entries = await readdir('/proc').catch(() => [])
  const stats = entries
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))
  return (await Promise.all(stats)).flatMap((stat) => {
    const [, pid, state, parent] = /^(\d+) \(.*\) (\S) (\d+)/s.exec(stat) ?? []
    // A zombie has ended; its new parent has not collected it yet.
    return pid === undefined || state === 'Z' ? [] : [{ pid: Number(pid), parent: Number(parent) }]
  })
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const answer = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false)
  socket.destroy()
  return answer
}
