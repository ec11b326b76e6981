import { type Config, ConfigError, readConfig } from '../config.ts'
import { type Checkup, type Finding, finding } from '../domain/findings.ts'
import { deriveSecrets } from '../domain/keys/secrets.ts'
import { checkupOf, examine } from './checkup.ts'
import { unreachable } from './database.ts'
import { openDatabase } from './opened-database.ts'
import { examineConfig, examineEnvironment, findingsOfFaults } from './settings.ts'

/** The configuration in an environment, or what is wrong with one that no portal can start with. */
export function examineSettings(env: NodeJS.ProcessEnv): Config | Checkup {
  try {
    return readConfig(env, { makeSecret: false })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return checkupOf([...faultsIn(error, env), ...examineEnvironment(env)], ['settings'])
  }
}

function faultsIn({ faults, message }: ConfigError, env: NodeJS.ProcessEnv): Finding[] {
  if (faults.length > 0) return findingsOfFaults(faults, env)
  return [finding('portal_not_started', `${message.replace(/^gatehouse: /, '')}.`, 'gatehouse serve')]
}

/** Examines the portal of this machine, which may run or not, over connections of its own. */
export async function examineHere(
  config: Config,
  env: NodeJS.ProcessEnv,
  clock: () => Date = () => new Date(),
): Promise<Checkup> {
  const withoutStores = (found: Finding) =>
    checkupOf([found, ...examineEnvironment(env), ...examineConfig(config, clock())], ['settings'], [...config.secrets])
  const opened = await openDatabase(config).catch((error: Error) => error)
  if (opened === null)
    return withoutStores(
      finding('portal_not_started', `No portal has been started in ${config.dataDir}.`, 'gatehouse serve'),
    )
  if (opened instanceof Error) return withoutStores(unreachable(config, opened))
  try {
    const secrets = deriveSecrets(config.secrets)
    return await examine({ config, env, secrets, storage: opened.storage, isServing: false, clock }, 'all')
  } finally {
    await opened.close()
  }
}
