import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts'

const ADDRESSES = {
  TEST_DATABASE_URL: 'postgresql://a:b@host/c',
  TEST_REDIS_URL: 'redis://d',
  TEST_EMBEDDED_DIR: '/e f',
}
const MODULE = JSON.stringify(import.meta.resolve('./addresses.ts'))
// A test process of its own, without what this one was given.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('TEST_') && name !== 'NODE_TEST_CONTEXT'),
)

let folder: TemporaryFolder
let file: string
before(async () => {
  folder = await makeTemporaryFolder('addresses')
  file = join(folder.path, 'addresses')
})
after(() => folder.remove())

/** Runs a test file that asks for an address and prints it. */
async function runTestFile(environment: Record<string, string> = {}) {
  const asking = join(folder.path, 'asking.test.mjs')
  await writeFile(
    asking,
    `import { test } from 'node:test'
     import { serviceAddress } from ${MODULE}
     for (const name of ['one', 'two']) test(name, () => console.log(serviceAddress('TEST_EMBEDDED_DIR', ${JSON.stringify(file)})))`,
  )
  return spawnSync(process.execPath, ['--test', asking], { env: { ...env, ...environment }, encoding: 'utf8' })
}

function publish() {
  const script = `const { publishAddresses } = await import(${MODULE})
    await publishAddresses(${JSON.stringify(ADDRESSES)}, ${JSON.stringify(file)})
    console.log('published')
    setInterval(() => {}, 1000)`
  return spawn(process.execPath, ['--input-type=module', '--eval', script], { env })
}

test('a test file run without the servers fails, with one sentence that names the command', async () => {
  const { status, stdout } = await runTestFile()
  assert.equal(status, 1)
  const sentence =
    /The servers of the tests are not running: start them with "npm run test:services" and leave it running\./g
  assert.equal(stdout.match(sentence)?.length, 1, stdout)
  assert.doesNotMatch(stdout, /serviceAddress|ECONNREFUSED/)
})

test('a test finds the servers through the environment, or through the file for as long as its writer runs', async () => {
  assert.match((await runTestFile({ TEST_EMBEDDED_DIR: '/given' })).stdout, /^\/given$/m)
  const services = publish()
  await once(services.stdout, 'data')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.match((await runTestFile()).stdout, /^\/e f$/m)

  const second = publish()
  const [code] = (await once(second, 'exit')) as [number]
  assert.equal(code, 1)

  services.kill('SIGINT')
  assert.deepEqual(await once(services, 'exit'), [130, null])
  assert.ok(!existsSync(file))
})

test('a file whose writer was killed is not believed', async () => {
  const killed = publish()
  await once(killed.stdout, 'data')
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  assert.ok(existsSync(file))
  assert.equal((await runTestFile()).status, 1)
})
