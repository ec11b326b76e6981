import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, test, type TestContext } from 'node:test'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { checkMigrations, recordMigrations } from './migration-checksums.ts'

let root: string
let said: string[]
beforeEach(async (context) => {
  const folder = await makeTemporaryFolder('migrations')
  ;(context as TestContext).after(folder.remove)
  root = folder.path
  said = []
  ;(context as TestContext).mock.method(console, 'log', (line: string) => void said.push(line))
  await write('1_first', 'CREATE TABLE first ()')
  assert.deepEqual(await recordMigrations(root), ['1_first'])
})

async function write(name: string, sql: string): Promise<void> {
  await mkdir(join(root, 'prisma/migrations', name), { recursive: true })
  await writeFile(join(root, 'prisma/migrations', name, 'migration.sql'), sql)
}

function git(...args: string[]): void {
  const person = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.test']
  execFileSync('git', [...person, '-C', root, ...args], { stdio: 'ignore' })
}

function commit(): void {
  git('add', '-A')
  git('commit', '-m', 'a migration')
}

test('a migration that has landed may not change or go, and a new one is to be recorded', async () => {
  await checkMigrations(root)
  await write('1_first', 'CREATE TABLE other ()')
  await assert.rejects(checkMigrations(root), /^Error: 1_first has changed since it landed/)
  await rm(join(root, 'prisma/migrations/1_first'), { recursive: true })
  await assert.rejects(checkMigrations(root), /^Error: 1_first has landed and is gone/)

  await write('1_first', 'CREATE TABLE first ()')
  await write('2_second', 'CREATE TABLE second ()')
  await assert.rejects(checkMigrations(root), /^Error: 2_second has no checksum: run "npm run prisma:record"/)
  assert.deepEqual(await recordMigrations(root), ['2_second'])
  await checkMigrations(root)
})

test('a checksum that has landed on the main branch may not change with its migration', async () => {
  git('init', '--initial-branch', 'main')
  commit()
  await checkMigrations(root)
  assert.deepEqual(said, [])

  git('switch', '--create', 'a-branch')
  await write('1_first', 'CREATE TABLE other ()')
  await rm(join(root, 'prisma/migrations/checksums.txt'))
  await recordMigrations(root)
  commit()
  await assert.rejects(checkMigrations(root), /no longer has the line of 1_first as it is on the main branch/)
})

test('a migration of a branch may change until it lands', async () => {
  git('init', '--initial-branch', 'main')
  commit()
  git('switch', '--create', 'a-branch')
  for (const sql of ['CREATE TABLE second ()', 'CREATE TABLE third ()']) {
    git('checkout', 'main', '--', 'prisma')
    await write('2_second', sql)
    await recordMigrations(root)
    commit()
    await checkMigrations(root)
  }
})

test('where git has no history to compare with, the check says so', async () => {
  await checkMigrations(root)
  assert.deepEqual(said, ['Compared with prisma/migrations/checksums.txt alone: there is no history of git.'])

  git('init', '--initial-branch', 'main')
  commit()
  await writeFile(join(root, '.git/shallow'), execFileSync('git', ['-C', root, 'rev-parse', 'HEAD']))
  await checkMigrations(root)
  assert.match(said[1] ?? '', /: this clone of git is shallow\.$/)
})
