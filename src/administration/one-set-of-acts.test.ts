import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const SOURCES = join(import.meta.dirname, '..')

/** Constants, classes, and functions that read a store, judge a value or put it in words. */
const READS = /^(?:[A-Z]|(?:find|list|search|count|is|has|read)[A-Z]|\w+(?:Of|In|InWords)$)/
const ALSO_READ = [
  'adminApiOf',
  'apisMeant',
  'browserMessage',
  'canonicalEmail',
  'canonicalUserName',
  'clientMessage',
  'divideScopes',
  'examineProfile',
  'familyTimeline',
  'ipKey',
  'memberVersions',
  'reuseAdvice',
  'scopesStillGranted',
  'standardClaims',
]

/** What is about requests and processes, and about nothing that operators look after. */
const OTHERS = [
  'api/acts.ts: beginKeyedRequest',
  'api/acts.ts: oneAtATime',
  'commands/worker.ts: reloadKeys',
  'commands/worker.ts: writeCounts',
]

/** A directory writes whole users and groups (RFC 7644), which no operation does; the rules in them are the same. */
const DIRECTORY = [
  'api/scim/groups.ts: changeDirectoryGroup',
  'api/scim/groups.ts: createDirectoryGroup',
  'api/scim/groups.ts: deleteGroup',
  'api/scim/users.ts: changeDirectoryUser',
  'api/scim/users.ts: createDirectoryUser',
  'api/scim/users.ts: deleteDirectoryUser',
]

/** The service in which users live says what has happened to them; no operator does. */
const SOURCE = ['api/identity-source-events.ts: actOnSourceEvents', 'api/identity-source-events.ts: admitSourceRequest']

/** A whole portal, with its keys, is exported and imported beside it alone: no page and no program has it. */
const BESIDE = [
  'commands/export-files.ts: decryptWith',
  'commands/export-files.ts: encryptWith',
  'commands/moving.ts: checkExport',
  'commands/moving.ts: checkPassphrase',
  'commands/moving.ts: exportPortal',
  'commands/moving.ts: importPortal',
]

/** Commands that are older than the operations, and call the rules themselves. No new one may. */
const OLDER = ['commands/user.ts']

/** The simple API is for apps and their users. */
const FOR_USERS = 'api/auth/'

test('pages, API and commands change things by operations alone', () => {
  const files = globSync('{http/admin,api,commands}/**/*.ts', { cwd: SOURCES }).filter(
    (file) => !file.endsWith('.test.ts') && !OLDER.includes(file) && !file.startsWith(FOR_USERS),
  )
  assert.ok(files.length > 20)
  const changes = files.flatMap((file) => rulesIn(file).map((name) => `${file}: ${name}`))
  assert.deepEqual(
    changes.filter((each) => ![...OTHERS, ...DIRECTORY, ...SOURCE, ...BESIDE].includes(each)),
    [],
  )
})

test('an operation is what they have in common', () => {
  for (const file of ['http/admin/act.ts', 'api/acts.ts', 'commands/portal.ts'])
    assert.match(readFileSync(join(SOURCES, file), 'utf8'), /\bperform\b[^;]*administration\/operation\.ts'/, file)
})

/** The functions of `domain/` that a file imports, but for those that read. */
function rulesIn(file: string): string[] {
  const imported = readFileSync(join(SOURCES, file), 'utf8').matchAll(
    /^import \{([^}]*)\} from '(?:\.\.\/)+domain\/[^']+'/gm,
  )
  return [...imported]
    .flatMap(([, names = '']) => names.split(',').map((name) => name.trim().replace(/ as .*/, '')))
    .filter((name) => name !== '' && !name.startsWith('type ') && !READS.test(name) && !ALSO_READ.includes(name))
}
