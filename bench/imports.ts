import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { findFreePort } from '../src/storage/embedded/free-port.ts'
import { Browser } from '../src/testing/browser/browser.ts'
import { gatehouse, printed } from '../src/testing/portal/gatehouse.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { pinCores } from './cores.ts'
import { createDatabase } from './database.ts'
import { rounded } from './figures.ts'
import { linesOf, makePasswords, personAt } from './imports/crowd.ts'
import { describeMachine, introduceMachine, type MachineWords } from './machine.ts'
import { table } from './markdown.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { withStores } from './stores.ts'
import { PORTAL, settingsFor } from './subjects/portal.ts'
import { startProcess } from './subjects/subject.ts'

const PEOPLE = 100_000
const QUICK_PEOPLE = 2000
const PASSWORDS_OF_EACH_KIND = 40
const SIGN_INS = 100

/** How long it takes to import users with the password hashes of other systems; a sample then signs in. @returns the exit code */
export async function runImports(options: Options): Promise<number> {
  const people = options.quick ? QUICK_PEOPLE : PEOPLE
  const cores = pinCores(options.cores ?? 'none')
  return withStores(false, async ({ postgres, server }) => {
    const database = await createDatabase(postgres.url)
    const folder = await makeTemporaryFolder('bench-imports')
    try {
      say('hashing')
      const passwords = await makePasswords(PASSWORDS_OF_EACH_KIND)
      const file = join(folder.path, 'people.jsonl')
      await pipeline(Readable.from(linesOf(people, passwords)), createWriteStream(file))
      const port = await findFreePort()
      const env = { ...settingsFor(port), DATABASE_URL: database.url, DATA_DIR: folder.path }
      const args = ['user', 'import', file, '--create-groups', '--json']

      const dryRun = await timed(args.concat('--dry-run'), env)
      say(`dry run: ${dryRun.seconds} s`)
      const real = await timed(args, env)
      say(`import: ${real.seconds} s`)
      const again = await timed(args, env)
      const signIns = await signInSome(port, env, people, passwords)

      const machine = describeMachine(server.words, null, cores.words)
      const megabytes = rounded((await stat(file)).size / 1e6, 1)
      const results = { machine, people, megabytes, dry_run: dryRun, import: real, again, sign_ins: signIns }
      publish(options, results, () => describe(results))
      const isWhole = real.created === people && again.skipped === people && signIns.replaced === signIns.succeeded
      return isWhole && signIns.succeeded === SIGN_INS ? 0 : 1
    } finally {
      await folder.remove()
      await database.drop()
    }
  })
}

interface Run {
  seconds: number
  created: number
  skipped: number
}

async function timed(args: string[], env: Record<string, string>): Promise<Run> {
  const start = performance.now()
  const { created, skipped } = printed<Run>(await gatehouse(args, env))
  return { seconds: rounded((performance.now() - start) / 1000, 1), created, skipped }
}

interface SignIns {
  succeeded: number
  /** How many of the hashes are Argon2id of the portal's now. */
  replaced: number
}

async function signInSome(
  port: number,
  env: Record<string, string>,
  people: number,
  passwords: Parameters<typeof personAt>[1],
): Promise<SignIns> {
  const { stop } = await startProcess({ ...PORTAL, port, env }, { folder: env['DATA_DIR'] as string, prefix: [] })
  const client = new pg.Client({ connectionString: env['DATABASE_URL'] as string })
  await client.connect()
  try {
    let succeeded = 0
    const names: string[] = []
    for (let sample = 0; sample < SIGN_INS; sample++) {
      const { username, password } = personAt(Math.floor((sample * people) / SIGN_INS) + (sample % 5), passwords)
      names.push(username)
      await new Browser(env['PUBLIC_URL'] as string).signIn({ username, password })
      succeeded++
    }
    const replaced = await client.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM identities WHERE username = ANY ($1) AND password_hash LIKE '$argon2id$v=19$m=19456,p=1,t=2$%'`,
      [names],
    )
    return { succeeded, replaced: replaced.rows[0]?.count ?? 0 }
  } finally {
    await client.end()
    await stop()
  }
}

function describe(results: {
  machine: MachineWords
  people: number
  megabytes: number
  dry_run: Run
  import: Run
  again: Run
  sign_ins: SignIns
}): string {
  const { people, megabytes, dry_run: dryRun, import: real, again, sign_ins: signIns } = results
  const runs = Object.entries({ 'dry run': dryRun, import: real, 'the same again': again })
  return `${introduceMachine(results.machine)}

${people} people in a file of ${megabytes} MB, each with a group, a role and one of five kinds of foreign password hashes.

${table(
  ['run', 'seconds', 'created', 'skipped'],
  runs.map(([name, run]) => [name, ...[run.seconds, run.created, run.skipped].map(String)]),
)}
Of ${SIGN_INS} of them ${signIns.succeeded} signed in, and ${signIns.replaced} hashes were replaced.
`
}
