import { randomBytes } from 'node:crypto'
import { closeServices, openServices } from '../../src/main/services.ts'
import { readConfig } from '../../src/config.ts'
import { createApp } from '../../src/domain/apps/apps.ts'
import { register } from '../../src/domain/identities/identities.ts'
import { createLogger } from '../../src/logger.ts'
import { findFreePort } from '../../src/storage/embedded/free-port.ts'
import { notesApp } from '../../src/testing/portal/apps.ts'
import { addService, DELEGATED_SCOPE } from './service.ts'
import {
  APP_IDS,
  AUDIENCE,
  type Credentials,
  PEOPLE,
  type Program,
  REDIRECT_URI,
  startProcess,
  type Subject,
  type SubjectOptions,
} from './subject.ts'

/** The portal as an operator runs it: `npm start`. */
export const PORTAL = {
  name: 'portal',
  args: ['src/gatehouse.ts', 'serve'],
  readyPath: '/readyz',
  // The first worker answers before the last one is ready; this line comes when all are.
  readyLine: 'Gatehouse is ready at',
} as const

/** Puts more into the database, after the apps and before the portal starts. */
export type Furnish = (apps: Credentials[]) => Promise<void>

/** The portal as an operator runs it, its log at its usual level. */
export async function startPortal(options: SubjectOptions, furnish?: Furnish): Promise<Subject> {
  const { profileFolder } = options
  const profiling = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
  return startLikePortal({ ...PORTAL, args: [...profiling, ...PORTAL.args] }, options, furnish)
}

/** The server of these URLs, on a database of the portal's. */
export async function startLikePortal(
  program: Pick<Program, 'args' | 'readyPath' | 'readyLine'> & { name: 'portal' | 'floor' },
  options: SubjectOptions,
  furnish?: Furnish,
): Promise<Subject> {
  const port = await findFreePort()
  const env: Record<string, string> = {
    ...settingsFor(port),
    DATABASE_URL: options.databaseUrl,
    DATA_DIR: options.folder,
    ...(options.redisUrl === null ? {} : { REDIS_URL: options.redisUrl }),
    ...options.env,
  }
  const { apps, service } = await seed(env)
  await furnish?.(apps)
  const { pid, stop } = await startProcess({ ...program, port, env }, options)
  const origin = originOf(port)
  return {
    name: program.name,
    pid,
    stop,
    port,
    origin,
    host: `127.0.0.1:${port}`,
    apps,
    introspectedApp: apps[0] as Credentials,
    service,
    people: PEOPLE,
    refreshExtra: '',
    signIn: (browser, person) => browser.signIn(person),
  }
}

/** The settings of every portal of the benchmark, beside those of its stores. */
export function settingsFor(port: number): Record<string, string> {
  return {
    PORT: String(port),
    PUBLIC_URL: originOf(port),
    GATEHOUSE_SECRET: randomBytes(48).toString('base64url'),
    LOG_LEVEL: 'info',
    // A few users stand for many, all from one IP address; each may sign in as often at the same moment.
    LOGIN_ATTEMPTS_BEFORE_DELAY: '100',
  }
}

function originOf(port: number): string {
  return `http://127.0.0.1:${port}`
}

/** The users and the apps, created by the rules before anything is measured. */
async function seed(env: Record<string, string>): Promise<{ apps: Credentials[]; service: Credentials }> {
  const services = await openServices(readConfig(env), createLogger('silent'))
  try {
    // One after the other: the portal lets few passwords wait for long.
    for (const person of PEOPLE) await register(services, person, null)
    const apps: Credentials[] = []
    const scope = `${notesApp.scope} ${DELEGATED_SCOPE}`
    for (const id of APP_IDS) {
      const settings = {
        ...notesApp,
        name: id,
        redirectUris: [REDIRECT_URI],
        audience: AUDIENCE,
        scope,
        firstPartyDirect: true,
        simpleApi: true,
      }
      const { secret } = await createApp(services, id, settings)
      apps.push({ id, secret: secret ?? '' })
    }
    return { apps, service: await addService(services) }
  } finally {
    await closeServices(services)
  }
}
