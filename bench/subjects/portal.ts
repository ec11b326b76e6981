import { randomBytes } from 'node:crypto'
import { createPortal } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { createApp } from '../../src/domain/apps.ts'
import { register } from '../../src/domain/identities.ts'
import { createLogger } from '../../src/logger.ts'
import { findFreePort } from '../../src/storage/free-port.ts'
import { notesApp } from '../../src/testing/apps.ts'
import {
  APP_IDS,
  AUDIENCE,
  type Credentials,
  PEOPLE,
  REDIRECT_URI,
  startProcess,
  type Subject,
  type SubjectOptions,
} from './subject.ts'

/** The portal as an operator runs it, its log at its usual level. */
export async function startPortal(options: SubjectOptions): Promise<Subject> {
  const { profileFolder } = options
  const profiling = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
  return startLikePortal('portal', [...profiling, 'src/gatehouse.ts', 'serve'], options)
}

/** Whatever serves these URLs from a database of the portal's. */
export async function startLikePortal(
  name: 'portal' | 'floor',
  args: string[],
  options: SubjectOptions,
): Promise<Subject> {
  const port = await findFreePort()
  const origin = `http://127.0.0.1:${port}`
  const env: Record<string, string> = {
    PORT: String(port),
    PUBLIC_URL: origin,
    GATEHOUSE_SECRET: randomBytes(48).toString('base64url'),
    DATABASE_URL: options.databaseUrl,
    DATA_DIR: options.folder,
    LOG_LEVEL: 'info',
    ...(options.redisUrl === null ? {} : { REDIS_URL: options.redisUrl }),
  }
  const apps = await seed(env)
  const { pid, stop } = await startProcess(name, args, port, env, options)
  return {
    name,
    pid,
    stop,
    port,
    origin,
    host: `127.0.0.1:${port}`,
    apps,
    introspectedApp: apps[0] as Credentials,
    people: PEOPLE,
    refreshExtra: '',
    signIn: (browser, person) => browser.signIn(person),
  }
}

/** The people and the apps, put in by the rules themselves, before anything is measured. */
async function seed(env: Record<string, string>): Promise<Credentials[]> {
  const portal = await createPortal(readConfig(env), createLogger('silent'))
  try {
    await Promise.all(PEOPLE.map((person) => register(portal, person, null)))
    const apps: Credentials[] = []
    for (const id of APP_IDS) {
      const settings = { ...notesApp, name: id, redirectUris: [REDIRECT_URI], audience: AUDIENCE }
      const { secret } = await createApp(portal, id, settings)
      apps.push({ id, secret: secret ?? '' })
    }
    return apps
  } finally {
    await portal.storage.close()
  }
}
