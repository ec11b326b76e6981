import { delimiter, join } from 'node:path'
import { run } from '../src/testing/services/command.ts'

export const ROOT = join(import.meta.dirname, '..')
/** What one run leaves for the next to be faster; git ignores it. */
export const CACHE = join(ROOT, 'node_modules/.cache/gatehouse')

/** Settings of the portal. Whoever starts one in a test says what it gets; the shell around must not decide. */
const SETTINGS = [
  'APPLICATION_TOKEN_TTL',
  'DATABASE_MIGRATION_URL',
  'DATABASE_URL',
  'DATA_DIR',
  'DELETION_GRACE',
  'EMAIL_VERIFICATION',
  'FAMILY_HISTORY',
  'FAMILY_IDLE',
  'FAMILY_MAX',
  'FIRST_GUESS_DELAY',
  'FREE_GUESSES',
  'FRESH_SIGN_IN',
  'GATEHOUSE_SECRET',
  'HOST',
  'HSTS_INCLUDE_SUBDOMAINS',
  'IDENTITY_SESSION_IDLE',
  'IDENTITY_SESSION_MAX',
  'KEEP_ALIVE_TIMEOUT',
  'LOG_LEVEL',
  'LONGEST_GUESS_DELAY',
  'MAIL_FROM',
  'METRICS_TOKEN',
  'NODE_ENV',
  'PASSWORD_LENGTH',
  'PASSWORD_LENGTH_WITH_SECOND_FACTOR',
  'PASSWORD_RANGE_URL',
  'PLACE_DATABASE',
  'PORT',
  'PREPARED_STATEMENTS',
  'PUBLIC_URL',
  'REDIS_URL',
  'REGISTRATIONS_PER_HOUR',
  'ROTATION_GRACE',
  'ROTATION_GRACE_PROVEN',
  'SMTP_URL',
  'SUSPENSION',
  'SUSPENSION_AFTER',
  'TRUST_PROXY',
  'WORKERS',
]

export interface ToolOptions {
  env?: Record<string, string>
  limit?: number
  onMessage?: (message: unknown) => void
}

/**
 * Runs a tool of node_modules, or a script of ours by Node, from the root of the repository; its output is ours.
 * @throws Error unless it ends with 0 within the limit.
 */
export async function runTool(program: string, args: string[], options: ToolOptions = {}): Promise<void> {
  const { env = {}, limit = 180_000, onMessage } = options
  await run(program === 'node' ? process.execPath : join(ROOT, 'node_modules/.bin', program), args, {
    cwd: ROOT,
    env: { ...toolEnvironment(), ...env },
    stdio: onMessage === undefined ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'inherit', 'inherit', 'ipc'],
    limit,
    ...(onMessage === undefined ? {} : { onMessage }),
  })
}

/** The environment around us without the portal's settings, and with this very Node first. */
export function toolEnvironment(outer: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const hidden = new Set([...SETTINGS.flatMap((name) => [name, `${name}_FILE`]), 'NODE_TEST_CONTEXT'])
  const env = Object.fromEntries(Object.entries(outer).filter(([name]) => !hidden.has(name)))
  const programs = [join(ROOT, 'node_modules/.bin'), join(process.execPath, '..'), outer['PATH'] ?? '']
  return { ...env, PATH: programs.join(delimiter) }
}
