import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const SOURCES = import.meta.dirname

interface Import {
  /** The file that imports, as a path in src. */
  from: string
  /** A file of ours as a path in src, or the name of a package. */
  to: string
  isOurs: boolean
  isType: boolean
}

const TRANSPORTS = ['express', 'express-session', 'koa', 'oidc-provider', 'node:http', 'node:https', 'node:http2']

/** Which rooms each room may enter, and which single files of others. */
const ARROWS: Record<string, string[]> = {
  http: ['http/', 'domain/', 'oidc/interactions.ts', 'oidc/pages.ts', 'logger.ts'],
  oidc: ['oidc/', 'domain/', 'logger.ts'],
  domain: ['domain/', 'storage/', 'mail/', 'config.ts', 'logger.ts'],
  storage: ['storage/', 'logger.ts'],
  mail: ['mail/', 'logger.ts'],
  commands: [
    'commands/',
    'domain/',
    'storage/',
    'portal.ts',
    'background.ts',
    'repeat.ts',
    'server.ts',
    'workers.ts',
    'config.ts',
    'logger.ts',
  ],
}

const imports = globSync('**/*.ts', { cwd: SOURCES })
  .filter((file) => !file.endsWith('.test.ts') && !file.startsWith('testing/') && !file.startsWith('storage/client/'))
  .flatMap(importsOf)

test('the drawing is of this house: every room is on it and has something in it', () => {
  const rooms = new Set(imports.map(({ from }) => roomOf(from)).filter((room) => room !== null))
  assert.deepEqual(
    [...rooms].filter((room) => !(room in ARROWS)),
    [],
  )
  assert.ok(imports.length > 200)
})

for (const [room, allowed] of Object.entries(ARROWS)) {
  test(`${room} enters only the rooms it stands on`, () => {
    const violations = imports
      .filter(({ from, isOurs }) => roomOf(from) === room && isOurs)
      .filter(({ to }) => !allowed.some((place) => (place.endsWith('/') ? to.startsWith(place) : to === place)))
    assert.deepEqual(violations.map(inWords), [])
  })
}

test('config and logger import nothing of ours', () => {
  const violations = imports.filter(({ from, isOurs }) => ['config.ts', 'logger.ts'].includes(from) && isOurs)
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

test('only storage speaks to the stores', () => {
  const drivers = ['pg', 'ioredis', '@prisma/client', '@prisma/adapter-pg', 'connect-redis', 'connect-pg-simple']
  const violations = imports.filter(({ from, to }) => roomOf(from) !== 'storage' && drivers.some(isPackage(to)))
  assert.deepEqual(violations.map(inWords), [])
})

test('only oidc runs the protocol library; others may name its types', () => {
  const violations = imports.filter(
    ({ from, to, isType }) => isPackage(to)('oidc-provider') && roomOf(from) !== 'oidc' && !isType,
  )
  assert.deepEqual(violations.map(inWords), [])
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
