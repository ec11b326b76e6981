import { randomBytes, randomUUID } from 'node:crypto'
import pg from 'pg'
import { findFreePort } from '../../src/storage/embedded/free-port.ts'
import type { Browser } from '../../src/testing/browser/browser.ts'
import { OPAQUE_APP, SERVICE } from '../stock/apps.ts'
import { createTables } from '../stock/tables.ts'
import {
  APP_IDS,
  AUDIENCE,
  clientOf,
  type Credentials,
  PEOPLE,
  type Person,
  REDIRECT_URI,
  startProcess,
  type Subject,
  type SubjectOptions,
} from './subject.ts'

/** The portal's protocol library as its documentation sets it up, with its own adapters, rotation and session. */
export async function startStock(options: SubjectOptions): Promise<Subject> {
  return start('stock', options)
}

/** A common set-up of it: in Express, with RS256, and with an ID token at every refresh. */
export async function startTypical(options: SubjectOptions): Promise<Subject> {
  return start('typical', options)
}

async function start(name: 'stock' | 'typical', options: SubjectOptions): Promise<Subject> {
  const port = await findFreePort()
  const origin = `http://127.0.0.1:${port}`
  const credentials = [...APP_IDS, SERVICE, OPAQUE_APP].map((id) => ({
    id,
    secret: randomBytes(32).toString('base64url'),
  }))
  const accounts = new Map(PEOPLE.map((person) => [person.username, randomUUID()]))
  await seed(options.databaseUrl, accounts)

  const env: Record<string, string> = {
    PORT: String(port),
    ISSUER: origin,
    AUDIENCE,
    REDIRECT_URI,
    APPS: JSON.stringify(credentials),
    COOKIE_KEY: randomBytes(32).toString('base64url'),
    DATABASE_URL: options.databaseUrl,
    TYPICAL: name === 'typical' ? 'yes' : 'no',
    ...(options.redisUrl === null ? {} : { REDIS_URL: options.redisUrl }),
    ...options.env,
  }
  const { pid, stop } = await startProcess(
    { name, args: ['bench/stock/server.ts'], port, env, readyPath: '/oauth/jwks', readyLine: '' },
    options,
  )
  const subject: Subject = {
    name,
    pid,
    stop,
    port,
    origin,
    host: `127.0.0.1:${port}`,
    apps: credentials.slice(0, APP_IDS.length),
    introspectedApp: credentials.at(-1) as Credentials,
    service: credentials.at(-2) as Credentials,
    people: PEOPLE,
    // It also signs an ID token on every refresh with openid; the portal does so only on request.
    refreshExtra: name === 'typical' ? '' : '&scope=profile%20email',
    async signIn(browser, person) {
      const accountId = accounts.get(person.username) as string
      for (const app of [subject.apps[0] as Credentials, subject.introspectedApp])
        await consent(subject, browser, accountId, app)
    },
  }
  return subject
}

/** Completes the library's development pages once, so that every later authorization of this app is silent. */
async function consent(subject: Subject, browser: Browser, accountId: string, app: Credentials): Promise<void> {
  let { url, response } = await browser.follow(await browser.get(clientOf(subject, app).authorizeUrl()))
  for (let pages = 0; pages < 2 && url.startsWith(`${subject.origin}/interaction/`); pages++) {
    const prompt = /name="prompt" value="(\w+)"/.exec(await response.text())?.[1] ?? ''
    const answered = await browser.post(url, { prompt, login: accountId, password: 'any will do' })
    ;({ url, response } = await browser.follow(answered))
  }
  if (!new URL(url).searchParams.has('code')) throw new Error(`stock gave no code after a sign-in: ${response.status}`)
}

async function seed(databaseUrl: string, accounts: Map<Person['username'], string>): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await createTables(client)
    for (const { username, email } of PEOPLE) {
      await client.query('INSERT INTO accounts (id, username, email) VALUES ($1, $2, $3)', [
        accounts.get(username),
        username,
        email,
      ])
    }
  } finally {
    await client.end()
  }
}
