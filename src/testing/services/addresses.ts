import { readFileSync, writeSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { stopBeforeExit } from './shutdown.ts'

const FILE = join(import.meta.dirname, '../../../.env.test')
const COMMAND = 'npm run test:services'
const PID = 'TEST_SERVICES_PID'

export type ServiceAddress = 'TEST_DATABASE_URL' | 'TEST_REDIS_URL' | 'TEST_EMBEDDED_DIR'

/**
 * The address of a test server: from the environment of `npm test`, or from the file of `npm run test:services`.
 * Without either, the test file ends here with one sentence, because none of its tests could run.
 */
export function serviceAddress(name: ServiceAddress, file = FILE): string {
  const address = process.env[name] ?? readAddresses(file)[name]
  if (address !== undefined) return address
  writeSync(2, `The servers of the tests are not running: start them with "${COMMAND}" and leave it running.\n`)
  process.exit(1)
}

/**
 * Writes the addresses for `serviceAddress`, for as long as this process runs. @throws Error while another process does the
 * same.
 */
export async function publishAddresses(addresses: Record<ServiceAddress, string>, file = FILE): Promise<void> {
  const other = readAddresses(file)[PID]
  if (other !== undefined) throw new Error(`The servers of the tests are running already, started by process ${other}.`)
  const lines = Object.entries({ ...addresses, [PID]: process.pid }).map(([name, value]) => `${name}='${value}'\n`)
  // It holds passwords of servers.
  await writeFile(file, lines.join(''), { mode: 0o600 })
  stopBeforeExit(() => rm(file, { force: true }))
}

/** Nothing when the process that wrote the file has ended, or without a file. */
function readAddresses(file: string): Partial<Record<string, string>> {
  try {
    const addresses = parseEnv(readFileSync(file, 'utf8'))
    process.kill(Number(addresses[PID]), 0)
    return addresses
  } catch {
    return {}
  }
}
