import { randomBytes } from 'node:crypto'
import { findFreePort } from '../../src/storage/embedded/free-port.ts'
import { makeTemporaryFolder } from '../../src/testing/services/temporary-folder.ts'
import { startProcess } from '../subjects/subject.ts'

/** A service in which users live (`service.ts`). */
export interface RunningSource {
  /** The settings with which a portal asks it. */
  env: Record<string, string>
  /** Of every user. */
  password: string
  stop(): Promise<void>
}

export async function startSource(latencyMs: number): Promise<RunningSource> {
  const port = await findFreePort()
  const folder = await makeTemporaryFolder('bench-source')
  const secret = randomBytes(32).toString('base64url')
  const password = 'a password that lives elsewhere'
  const program = {
    name: 'source',
    args: ['bench/source/service.ts'],
    port,
    env: { PORT: String(port), SECRET: secret, PASSWORD: password, LATENCY_MS: String(latencyMs) },
    readyPath: '/ready',
    readyLine: '',
  } as const
  const running = await startProcess(program, { folder: folder.path, prefix: [] })
  return {
    env: { IDENTITY_SOURCE_URL: `http://127.0.0.1:${port}`, IDENTITY_SOURCE_SECRET: secret },
    password,
    async stop() {
      await running.stop()
      await folder.remove()
    },
  }
}

/** The user name of one of its users. */
export function guest(number: number): string {
  return `guest-${number}`
}
