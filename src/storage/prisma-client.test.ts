// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { makeTemporaryFolder } from '../testing/services/temporary-folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const CLIENT = 'src/storage/client'

const checkouts = await makeTemporaryFolder('checkouts')
after(() => checkouts.remove())

/** The checkout in which the first test has generated a client. */
let generated = ''

test('the first commands of a fresh checkout generate the client, also two at once, and need no network', async () => {
  const checkout = await makeCheckout()

  const [one, other] = await Promise.all([gatehouse(checkout, '--help'), gatehouse(checkout, '--help')])

  assert.deepEqual([one.code, other.code], [0, 0], one.stderr + other.stderr)
  assert.equal(one.stderr, '')
  assert.match(one.stdout, /self-hosted identity portal/)
  const { PrismaClient } = (await import(pathToFileURL(join(checkout, CLIENT, 'client.ts')).href)) as object as {
    PrismaClient: unknown
  }
  assert.equal(typeof PrismaClient, 'function')
  assert.deepEqual(await leftovers(checkout), [])
  generated = checkout
})

test('a current client is left alone, and one that lost its files or has another schema is replaced', async () => {
  const checkout = generated
  const { ino } = await stat(join(checkout, CLIENT))

  assert.equal((await build(checkout)).code, 0)
  assert.equal((await gatehouse(checkout, '--help')).code, 0)
  assert.equal((await stat(join(checkout, CLIENT))).ino, ino)

  await rm(join(checkout, CLIENT, 'client.ts'))
  assert.equal((await gatehouse(checkout, '--help')).code, 0)
  assert.ok((await readdir(join(checkout, CLIENT))).includes('client.ts'))

  await appendFile(join(checkout, 'prisma/schema.prisma'), '\nmodel Badge {\n  id String @id\n}\n')
  assert.equal((await gatehouse(checkout, '--help')).code, 0)
  assert.ok((await readdir(join(checkout, CLIENT, 'models'))).includes('Badge.ts'))

  await cp(join(ROOT, 'prisma/schema.prisma'), join(checkout, 'prisma/schema.prisma'))
  assert.equal((await build(checkout)).code, 0)
  assert.ok(!(await readdir(join(checkout, CLIENT, 'models'))).includes('Badge.ts'))
  assert.deepEqual(await leftovers(checkout), [])
})

test('a schema with a mistake is reported, and the client of before stays', async () => {
  const checkout = generated
  await appendFile(join(checkout, 'prisma/schema.prisma'), '\nmodel Badge {\n')

  const { code, stderr } = await gatehouse(checkout, '--help')

  assert.equal(code, 1)
  assert.match(stderr, /could not be generated[^]*schema\.prisma:\d+/)
  assert.ok((await readdir(join(checkout, CLIENT))).includes('client.ts'))
  assert.deepEqual(await leftovers(checkout), [])
})

test('without the generator, serve says in one sentence what to do', async () => {
  const production = await makeCheckout({ withGenerator: false })
  const image = await makeCheckout({ withGenerator: false })
  await rm(join(image, 'scripts'), { recursive: true })

  for (const folder of [production, image]) {
    const { code, stdout, stderr } = await gatehouse(folder, 'serve')
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^gatehouse: the Prisma client .+ is missing .+"npm ci && npm run build".+\n$/)
  }
})

test('a client that was generated before is enough without the generator, until the schema changes', async () => {
  const production = await makeCheckout({ withGenerator: false, withPackages: true })
  await cp(join(generated, CLIENT), join(production, CLIENT), { recursive: true })

  const { code, stderr } = await gatehouse(production, '--help')
  assert.equal(code, 0, stderr)

  await appendFile(join(production, 'prisma/schema.prisma'), '\n// A later version.\n')
  const later = await gatehouse(production, 'serve')
  assert.equal(later.code, 1)
  assert.match(later.stderr, /out of date.+"npm ci && npm run build"/)
})

test('the image has what the client is compared with', async () => {
  const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8')
  const [, packages, image] = dockerfile.split(/^FROM .+$/m)
  assert.match(packages ?? '', /npm run build && npm prune --omit=dev --omit=optional/)
  assert.match(image ?? '', /^COPY prisma prisma$/m)
  assert.match(image ?? '', /^COPY --from=packages \/gatehouse\/src\/storage\/client src\/storage\/client$/m)
})

/** What git has of this checkout, as far as the command line needs it. `withPackages`: also the packages but for the generator. */
async function makeCheckout({ withGenerator = true, withPackages = false } = {}): Promise<string> {
  const checkout = await mkdtemp(join(checkouts.path, 'checkout-'))
  for (const name of ['package.json', 'prisma/schema.prisma', 'scripts/prisma-client.ts', 'locales', 'src'])
    await cp(join(ROOT, name), join(checkout, name), {
      recursive: true,
      filter: (source) => source !== join(ROOT, CLIENT),
    })
  const packages = join(ROOT, 'node_modules')
  if (withGenerator) await symlink(packages, join(checkout, 'node_modules'))
  else {
    await mkdir(join(checkout, 'node_modules'))
    const names = withPackages ? (await readdir(packages)).filter((name) => name !== 'prisma') : ['@prisma']
    for (const name of names) await symlink(join(packages, name), join(checkout, 'node_modules', name))
  }
  return checkout
}

async function build(checkout: string) {
  return node(checkout, 'scripts/prisma-client.ts')
}

async function gatehouse(checkout: string, ...words: string[]) {
  return node(checkout, 'src/gatehouse.ts', ...words)
}

async function node(
  cwd: string,
  ...args: string[]
): Promise<{ code: number | string | null; stdout: string; stderr: string }> {
  // Every proxy leads nowhere, so a download fails.
  const nowhere = 'http://127.0.0.1:9'
  const env = { PATH: process.env['PATH'], HOME: cwd, http_proxy: nowhere, https_proxy: nowhere }
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? null), stdout, stderr }),
    )
  })
}

/** Temporary folders that generating has left behind. */
async function leftovers(checkout: string): Promise<string[]> {
  return (await readdir(join(checkout, 'src/storage'))).filter((name) => name.startsWith('.'))
}
