import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { ConfigError } from './config-error.ts'
import { isSet } from './environment.ts'
import { namesOf, SETTING_NAMES } from './names.ts'

/**
 * Adds what the file of settings says to this environment: the file that ENV_FILE names or, in development, `.env` in the current
 * folder where there is one. What the environment says already takes precedence, by whichever of its names a setting is set there.
 * @throws ConfigError where the file cannot be read
 */
export function loadEnvironmentFile(env: NodeJS.ProcessEnv = process.env): void {
  const added = parseEnv(readFile(env))
  const taken = new Set([...Object.keys(env), ...namesTaken(env)])
  for (const [name, value] of Object.entries(added)) if (!taken.has(name)) env[name] = value
}

/** True where a `.env` is in the current folder that is not read because this is production. */
export function ignoresUsualFile(env: NodeJS.ProcessEnv = process.env): boolean {
  return env['NODE_ENV'] === 'production' && !isSet(env['ENV_FILE']) && existsSync(USUAL)
}

const USUAL = '.env'

function readFile(env: NodeJS.ProcessEnv): string {
  const { ENV_FILE: asked } = env
  if (asked !== undefined && isSet(asked)) return readNamed(asked)
  return isDevelopment(env) ? readUsual() : ''
}

function isDevelopment({ NODE_ENV: mode }: NodeJS.ProcessEnv): boolean {
  return !isSet(mode) || mode === 'development'
}

function readNamed(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw unreadable('the file that ENV_FILE names', error)
  }
}

function readUsual(): string {
  try {
    return readFileSync(USUAL, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw unreadable(USUAL, error)
  }
}

function unreadable(file: string, error: unknown): ConfigError {
  const { code } = error as NodeJS.ErrnoException
  return new ConfigError(`Gatehouse cannot start: ${file} cannot be read (${code ?? String(error)}).`)
}

/** Every name of each setting that this environment has. */
function namesTaken(env: NodeJS.ProcessEnv): string[] {
  return SETTING_NAMES.flatMap((name) => {
    const { ofValue, ofFile } = namesOf(name)
    const names = [...ofValue, ...ofFile]
    return names.some((each) => env[each] !== undefined) ? names : []
  })
}
