import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const SOURCES = import.meta.dirname
const README = readFileSync(join(SOURCES, 'README.md'), 'utf8')

interface Import {
  /** The file that imports, as a path in src. */
  from: string
  /** A file of ours as a path in src, or the name of a package. */
  to: string
  isOurs: boolean
  isType: boolean
}

const TRANSPORTS = ['express', 'express-session', 'koa', 'oidc-provider', 'node:http', 'node:https', 'node:http2']

/** Which rooms each room may enter, and which single files of others; the innermost entry of a file decides. */
const ARROWS: Record<string, string[]> = {
  http: [
    'http/',
    'administration/',
    'domain/',
    'i18n/',
    'api/auth/codes.ts',
    'oidc/interactions.ts',
    'oidc/pages.ts',
    'logger.ts',
  ],
  oidc: ['oidc/', 'domain/', 'i18n/', 'logger.ts'],
  api: ['api/', 'administration/', 'domain/', 'i18n/', 'logger.ts'],
  administration: ['administration/', 'domain/', 'i18n/'],
  backchannel: ['backchannel/', 'domain/', 'i18n/', 'storage/notifications.ts', 'storage/postgres.ts', 'logger.ts'],
  upstream: ['upstream/', 'domain/'],
  'domain/keys': ['domain/refused.ts', 'domain/time.ts', 'domain/trusted-proxies.ts', 'storage/'],
  'domain/audit': ['domain/*', 'domain/keys/', 'domain/limits/', 'storage/'],
  'domain/passwords': ['i18n/', 'domain/fair-queue.ts', 'config.ts', 'storage/'],
  'domain/limits': ['i18n/', 'domain/services.ts', 'domain/time.ts', 'storage/'],
  'domain/endings': ['i18n/', 'domain/*', 'storage/', 'config.ts'],
  'domain/identities': ['i18n/', 'domain/*', 'domain/endings/', 'domain/limits/', 'domain/passwords/', 'storage/'],
  'domain/sign-in': [
    'i18n/',
    'domain/*',
    'domain/endings/',
    'domain/identities/',
    'domain/keys/',
    'domain/limits/',
    'domain/passwords/',
    'storage/',
    'config.ts',
  ],
  'domain/families': [
    'i18n/',
    'domain/*',
    'domain/endings/',
    'domain/identities/',
    'domain/keys/',
    'domain/limits/',
    'domain/sign-in/',
    'storage/',
    'config.ts',
  ],
  'domain/apps': [
    'i18n/',
    'domain/*',
    'domain/endings/',
    'domain/identities/',
    'domain/keys/',
    'storage/',
    'config.ts',
  ],
  'domain/identity-providers': [
    'domain/*',
    'domain/identities/',
    'domain/keys/',
    'domain/limits/',
    'storage/',
    'config.ts',
  ],
  'domain/moving': [
    'domain/*',
    'domain/apps/apis.ts',
    'domain/endings/',
    'domain/keys/',
    'domain/passwords/',
    'storage/',
  ],
  'domain/accounts': ['i18n/', 'domain/', 'storage/', 'mail/'],
  'domain/direct-sign-in': ['domain/'],
  domain: ['i18n/', 'domain/', 'storage/', 'config.ts', 'logger.ts'],
  doctor: [
    'domain/',
    'storage/',
    'mail/',
    'identity-source/',
    'upstream/',
    'settings/',
    'backchannel/http-client.ts',
    'backchannel/reached-ips.ts',
    'config.ts',
    'logger.ts',
  ],
  storage: ['storage/', 'logger.ts'],
  mail: ['mail/', 'i18n/', 'logger.ts'],
  'identity-source': ['identity-source/', 'domain/', 'config.ts', 'logger.ts'],
  i18n: ['../locales/en.json', '../locales/admin/en.json'],
  settings: ['settings/', 'i18n/'],
  commands: [
    'commands/',
    'administration/',
    'i18n/',
    'domain/',
    'doctor/',
    'storage/',
    'identity-source/',
    'main/',
    'settings/',
    'config.ts',
    'logger.ts',
  ],
  main: [
    'main/',
    'http/',
    'api/',
    'administration/',
    'i18n/',
    'oidc/',
    'backchannel/',
    'upstream/',
    'domain/',
    'doctor/',
    'storage/',
    'identity-source/',
    'mail/',
    'config.ts',
    'logger.ts',
  ],
}

const imports = globSync('**/*.ts', { cwd: SOURCES })
  .filter((file) => !file.endsWith('.test.ts') && !file.startsWith('testing/') && !file.startsWith('storage/client/'))
  .flatMap(importsOf)

const benchImports = globSync('../bench/**/*.ts', { cwd: SOURCES })
  .filter((file) => !file.endsWith('.test.ts'))
  .flatMap(importsOf)

test('the drawing is of this house: every room is on it and has something in it', () => {
  const rooms = new Set(imports.map(({ from }) => roomOf(from)).filter((room) => room !== null))
  assert.deepEqual(
    [...rooms].filter((room) => !(room in ARROWS)),
    [],
  )
  assert.deepEqual(
    readdirSync(join(SOURCES, 'domain'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !(`domain/${entry.name}` in ARROWS))
      .map(({ name }) => name),
    [],
  )
  assert.ok(imports.length > 200)
})

for (const [room, allowed] of Object.entries(ARROWS)) {
  test(`${room} enters only the rooms it stands on`, () => {
    const violations = imports
      .filter(({ from, isOurs }) => innermostRoomOf(from) === room && isOurs)
      .filter(({ to }) => !to.startsWith(`${room}/`) && !allowed.some((door) => isBehind(door, to)))
    assert.deepEqual(violations.map(inWords), [])
  })
}

test('the rooms in domain and the files beside them form no cycle, types included', () => {
  const unitOf = (file: string) => file.split('/').slice(0, 2).join('/')
  const arrows = Map.groupBy(
    imports.filter(({ from, to }) => roomOf(from) === 'domain' && roomOf(to) === 'domain'),
    ({ from }) => unitOf(from),
  )
  const next = (unit: string) =>
    new Set((arrows.get(unit) ?? []).map(({ to }) => unitOf(to)).filter((to) => to !== unit))
  assert.deepEqual(findCycle([...arrows.keys()], next), null)
})

test('no file imports itself by way of others, types included, in src and in bench', () => {
  const files = Map.groupBy(
    [...imports, ...benchImports].filter(({ isOurs }) => isOurs),
    ({ from }) => from,
  )
  const next = (file: string) => new Set((files.get(file) ?? []).map(({ to }) => to))
  assert.deepEqual(findCycle([...files.keys()], next), null)
})

test('config stands on the settings alone, and logger on nothing of ours', () => {
  const violations = imports.filter(
    ({ from, to, isOurs }) => isOurs && (from === 'logger.ts' || (from === 'config.ts' && !to.startsWith('settings/'))),
  )
  assert.deepEqual(violations.map(inWords), [])
})

test('domain knows neither HTTP nor the protocol library', () => {
  const violations = imports.filter(({ from, to }) => roomOf(from) === 'domain' && TRANSPORTS.some(isPackage(to)))
  assert.deepEqual(violations.map(inWords), [])
})

test('storage knows neither HTTP nor the protocol library, but for the store that express-session asks for', () => {
  const violations = imports
    .filter(({ from, to }) => roomOf(from) === 'storage' && TRANSPORTS.some(isPackage(to)))
    .filter(({ from, to, isType }) => !(to === 'express-session' && (isType || from === 'storage/browser-sessions.ts')))
  assert.deepEqual(violations.map(inWords), [])
})

test('domain and storage take types of the logger, not the logger', () => {
  const violations = imports.filter(
    ({ from, to, isType }) => ['domain', 'storage'].includes(roomOf(from) ?? '') && to === 'logger.ts' && !isType,
  )
  assert.deepEqual(violations.map(inWords), [])
})

test('time comes from a clock that is passed in', () => {
  const own = ['storage/counters.ts', 'upstream/configurations.ts', 'storage/embedded/embedded.ts']
  const preset = /\bclock(: \(\) => Date)? = \(\) => new Date\(\)/g
  const violations = globSync(
    '{http,oidc,api,administration,backchannel,upstream,domain,doctor,storage,mail,commands,main}/**/*.ts',
    {
      cwd: SOURCES,
    },
  )
    .filter((file) => !file.endsWith('.test.ts') && !file.startsWith('storage/client/') && !own.includes(file))
    .filter((file) =>
      /\bDate\.now\b|\bnew Date\(\)/.test(readFileSync(join(SOURCES, file), 'utf8').replace(preset, '')),
    )
  assert.deepEqual(violations, [])
})

test('only storage speaks to the stores', () => {
  const drivers = ['pg', 'ioredis', '@prisma/client', '@prisma/adapter-pg', 'connect-redis', 'connect-pg-simple']
  const violations = imports.filter(({ from, to }) => roomOf(from) !== 'storage' && drivers.some(isPackage(to)))
  assert.deepEqual(violations.map(inWords), [])
})

test('the stores are reached by rules, the doctor, adapters and notifications only, and opened in main', () => {
  const rooms = /^(domain|doctor|storage|main|oidc\/adapters|testing)\/|^backchannel\/delivery\.ts$|\.test\.ts$/
  const violations = globSync('**/*.ts', { cwd: SOURCES })
    .filter((file) => !rooms.test(file))
    .filter((file) => /\.storage\b|[{,]\s*storage\b/.test(readFileSync(join(SOURCES, file), 'utf8')))
  assert.deepEqual(violations, [])
})

test('only oidc runs the protocol library; others may name its types', () => {
  const violations = imports.filter(
    ({ from, to, isType }) => isPackage(to)('oidc-provider') && roomOf(from) !== 'oidc' && !isType,
  )
  assert.deepEqual(violations.map(inWords), [])
})

test('one module imports private files of the protocol library', () => {
  const files = globSync(['**/*.ts', '../bench/**/*.ts', '../examples/**/*.ts'], { cwd: SOURCES })
  const violations = files
    .filter((file) => !file.includes('node_modules') && !isLibraryInternals(file))
    .flatMap(importsOf)
    .filter(({ to }) => to.startsWith('oidc-provider/'))
  assert.deepEqual(violations.map(inWords), [])
})

test('one module replaces members of the protocol library', () => {
  const files = globSync('{oidc,http,main}/**/*.ts', { cwd: SOURCES })
  const patches =
    /\b(?:Client|Session|IdToken|RefreshToken|AuthorizationCode|AccessToken|Grant|Interaction|BaseToken|BaseModel)\.prototype\b|\bprovider(?:\.\w+)+ = |(?:definePropert\w+|assign|setPrototypeOf)\((?:provider|ctx|session|grant|client)\b(?!\.body)|\bSession\.get = /g
  const violations = files
    .filter((file) => !file.endsWith('.test.ts') && !isLibraryInternals(file))
    .flatMap((file) =>
      (readFileSync(join(SOURCES, file), 'utf8').match(patches) ?? []).map((text) => `${file}: ${text}`),
    )
  assert.deepEqual(violations, [])
})

function isLibraryInternals(file: string): boolean {
  return ['oidc/library-internals.ts', 'oidc/library-internals.test.ts'].includes(file)
}

test('no page imports a page', () => {
  const violations = imports.filter(({ from, to }) => from.startsWith('http/pages/') && to.startsWith('http/pages/'))
  assert.deepEqual(violations.map(inWords), [])
})

test('what a request carries past the protocol library is in one typed state', () => {
  const violations = globSync('oidc/**/*.ts', { cwd: SOURCES })
    .filter((file) => !file.endsWith('.test.ts') && file !== 'oidc/exchange-state.ts')
    .filter((file) => /new WeakMap|ctx\.state\b/.test(readFileSync(join(SOURCES, file), 'utf8')))
  assert.deepEqual(violations, [])
})

test('one function verifies JWTs', () => {
  const verifiers = globSync('**/*.ts', { cwd: SOURCES })
    .filter((file) => !file.endsWith('.test.ts') && !file.startsWith('testing/'))
    .filter((file) => /\bverifiesWith\(|\bcreateVerify\(|\bjwtVerify\(/.test(readFileSync(join(SOURCES, file), 'utf8')))
  // Where it is called, and where it is written; the tokens of other providers are verified by a library.
  assert.deepEqual(verifiers.toSorted(), [
    'domain/keys/jwts.ts',
    'domain/keys/signing-keys.ts',
    'upstream/logout-tokens.ts',
  ])
})

test('one file calls the fast paths', () => {
  const paths = ['authorization', 'code-exchange', 'introspection', 'refresh', 'userinfo'].map(
    (name) => `oidc/fast/${name}.ts`,
  )
  const callers = imports.filter(({ to }) => paths.includes(to)).map(({ from }) => from)
  assert.deepEqual([...new Set(callers)], ['oidc/fast/fast-paths.ts'])
})

test('nothing outside the tests imports what is for tests', () => {
  const violations = imports.filter(
    ({ to, isOurs }) => isOurs && (to.startsWith('testing/') || to.endsWith('.test.ts')),
  )
  assert.deepEqual(violations.map(inWords), [])
})

test('there is no drawer for odds and ends', () => {
  const drawers = /(^|\/)(utils?|lib|helpers?|shared|common|misc)(\/|\.ts$)/
  assert.deepEqual(
    globSync('**/*.ts', { cwd: SOURCES }).filter((file) => drawers.test(file)),
    [],
  )
})

test('every file and folder that the README of the house names exists', () => {
  const names = [...README.matchAll(/`((?:[\w.-]+\/)*[\w.-]+(?:\/|\.(?:ts|ejs|prisma|example)))`/g)].map(
    ([, name]) => name,
  )
  assert.ok(names.length > 80)
  const places = ['.', '..', 'http', 'domain'].map((folder) => join(SOURCES, folder))
  assert.deepEqual(
    names.filter((name) => !places.some((place) => existsSync(join(place, name as string)))),
    [],
  )
})

test('the files of the glossary say the terms that lead to them', () => {
  const rows = README.slice(README.indexOf('## Glossary')).matchAll(/^\| ([^|]+?) +\| [^|]+ \| ([^|]+) \|$/gm)
  const entries = [...rows].flatMap(([, terms, files]) =>
    [...(files as string).matchAll(/`([^`]+)`/g)].flatMap(([, file]) =>
      (terms as string).split(', ').map((term) => ({ term, file: file as string })),
    ),
  )
  assert.ok(entries.length > 40)
  assert.deepEqual(
    entries.filter(({ term, file }) => !inOneLine(readFileSync(join(SOURCES, file), 'utf8')).includes(inOneLine(term))),
    [],
  )
})

test('what is written names the actor: a client, a browser, an operator, a user', () => {
  const unnamed = /\b(?:whoever|somebody|nobody|anybody)\b/i
  const lines = globSync(['**/*.ts', '**/*.md', '../README.md'], { cwd: SOURCES })
    .filter((file) => !file.endsWith('.test.ts') && !file.startsWith('storage/client/'))
    .flatMap((file) =>
      readFileSync(join(SOURCES, file), 'utf8')
        .split('\n')
        .filter((line) => unnamed.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    )
  assert.ok(lines.length < 15, lines.join('\n'))
})

/** Text as a search finds it: without comment marks, line breaks, hyphens and capitals. */
function inOneLine(text: string): string {
  return text
    .replaceAll(/\n\s*(?:\*|\/\/)/g, ' ')
    .replaceAll(/[\s-]+/g, ' ')
    .toLowerCase()
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SOURCES, file), 'utf8')
  const statements = [
    ...text.matchAll(/^(?:import|export)\s+(type\s)?([^'";]*?)\sfrom\s+'([^']+)'/gm),
    ...text.matchAll(/^import\s+()()'([^']+)'/gm),
    ...text.matchAll(/\bimport\(()()'([^']+)'\)/g),
  ]
  return statements.map(([, type, names, specifier]) => {
    const isOurs = specifier?.startsWith('.') === true
    const to = isOurs ? relative(SOURCES, join(SOURCES, dirname(file), specifier)) : (specifier as string)
    return { from: file, to, isOurs, isType: type !== undefined && type !== '' ? true : namesOnlyTypes(names ?? '') }
  })
}

/** `{ type A, type B }` imports no value either. */
function namesOnlyTypes(names: string): boolean {
  const listed = /^\{([^}]*)\}$/s.exec(names.trim())?.[1]
  if (listed === undefined) return false
  const each = listed.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]))
  return each.every((name) => name.startsWith('type '))
}

/** The first cycle that is found, as the names along it; null when there is none. */
function findCycle(starts: string[], next: (name: string) => Set<string>): string[] | null {
  const done = new Set<string>()
  const walk = (name: string, path: string[]): string[] | null => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (done.has(name)) return null
    for (const each of next(name)) {
      const cycle = walk(each, [...path, name])
      if (cycle !== null) return cycle
    }
    done.add(name)
    return null
  }
  for (const start of starts) {
    const cycle = walk(start, [])
    if (cycle !== null) return cycle
  }
  return null
}

/** `room/` is a room with all in it, `room/*` the files on top of a room, anything else one file. */
function isBehind(door: string, file: string): boolean {
  if (door.endsWith('/*')) return dirname(file) === door.slice(0, -2)
  return door.endsWith('/') ? file.startsWith(door) : file === door
}

/** The entry of the drawing that speaks of a file: of its folder, or of the folder around that. */
function innermostRoomOf(file: string): string | null {
  const inner = file.split('/').slice(0, 2).join('/')
  return inner in ARROWS ? inner : roomOf(file)
}

/** The folder in src a file lies in; null for the files on top. */
function roomOf(file: string): string | null {
  return file.includes('/') ? (file.split('/')[0] as string) : null
}

function isPackage(specifier: string): (name: string) => boolean {
  return (name) => specifier === name || specifier.startsWith(`${name}/`)
}

function inWords({ from, to, isType }: Import): string {
  return `${from} imports ${isType ? 'types of ' : ''}${to}`
}
