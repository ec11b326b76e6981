import { spawnSync } from 'node:child_process'
import { isSet, type Environment } from './environment.ts'
import { namesOf, SETTING_NAMES } from './names.ts'
import { SETTINGS, type SettingName } from './settings.ts'

/** How long the command may take (ms). */
const TIME_LIMIT_MS = 30_000
const LONGEST_OUTPUT = 65_536
/** As much of its standard error is shown (characters). */
const SHOWN = 300

const NAME = 'GATEHOUSE_SECRET_COMMAND'

/** The environment with the root secret that GATEHOUSE_SECRET_COMMAND prints, where that is set. */
export function withCommandedSecret(environment: Environment, env: NodeJS.ProcessEnv): Environment {
  const { given, values, faults } = environment
  const commandLine = values[NAME]
  // It is null, or absent where something is wrong with it.
  if (!commandLine) return environment
  const { ofValue, ofFile } = namesOf('GATEHOUSE_SECRET')
  const second = [...ofValue, ...ofFile].find((name) => isSet(env[name]))
  if (second !== undefined)
    return { ...environment, faults: [...faults, `${NAME}: is set beside ${second}; remove one of them`] }

  const outcome = runSecretCommand(commandLine, withoutSecrets(env))
  // A production portal lacks no setting then.
  const found = { ...given, GATEHOUSE_SECRET: '' }
  if (outcome.kind === 'failed') return { given: found, values, faults: [...faults, `${NAME}: ${outcome.problem}`] }
  const read = SETTINGS.GATEHOUSE_SECRET.type.schema.safeParse(outcome.value)
  if (read.success) return { given: found, values: { ...values, GATEHOUSE_SECRET: read.data }, faults }
  const wrong = read.error.issues.map(({ message }) => `${NAME}: ${message} (printed by the command)`)
  return { given: found, values, faults: [...faults, ...wrong] }
}

/** The environment of the command: it may hold what a KMS asks for, and the other secrets of the portal are not its business. */
function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isSecret = (name: SettingName) => 'isSecret' in SETTINGS[name]
  const secrets = new Set(SETTING_NAMES.filter(isSecret).flatMap((name) => namesOf(name).ofValue))
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secrets.has(name)))
}

export type CommandOutcome = { kind: 'printed'; value: string } | { kind: 'failed'; problem: string }

/**
 * Runs a command line in the shell, and reads what it prints: secrets on lines of their own, or with commas between. `problem` is a
 * sentence that has the end of its standard error, and nothing that it printed to standard output.
 * @param env what the command may read
 */
export function runSecretCommand(
  commandLine: string,
  env: NodeJS.ProcessEnv,
  timeLimitMs = TIME_LIMIT_MS,
): CommandOutcome {
  const { stdout, stderr, status, signal, error } = spawnSync(commandLine, {
    shell: true,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeLimitMs,
    killSignal: 'SIGKILL',
    maxBuffer: LONGEST_OUTPUT,
  })
  const secrets = (stdout ?? '').split(/[\r\n,]/).flatMap((each) => (each.trim() === '' ? [] : [each.trim()]))
  const failed = (how: string): CommandOutcome => {
    const said = endOf(stderr ?? '', secrets)
    return { kind: 'failed', problem: said === '' ? `the command ${how}` : `the command ${how}: ${said}` }
  }
  const failure: NodeJS.ErrnoException | undefined = error
  if (failure?.code === 'ETIMEDOUT') return failed(`did not end within ${timeLimitMs / 1000} seconds`)
  if (failure?.code === 'ENOBUFS') return failed('printed far more than a secret')
  if (failure !== undefined) return failed('could not be run')
  if (signal !== null) return failed(`was ended by ${signal}`)
  if (status !== 0) return failed(`ended with exit code ${status}`)
  return secrets.length === 0 ? failed('printed nothing') : { kind: 'printed', value: secrets.join(',') }
}

/** The end of what it said, on one line, without any of the secrets. */
function endOf(stderr: string, secrets: string[]): string {
  const shown = secrets.reduce((said, secret) => (secret.length < 8 ? said : said.replaceAll(secret, '…')), stderr)
  const line = shown.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim()
  return line.length > SHOWN ? `…${line.slice(-SHOWN)}` : line
}
