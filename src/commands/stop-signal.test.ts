import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'

const ROOT = join(import.meta.dirname, '../..')

let database: TestDatabase

before(async () => {
  database = await createDatabase()
})
after(() => database.drop())

for (const [command, ready, signal] of [
  [['npm', 'start'], 'Gatehouse is ready', 'SIGTERM'],
  // npm has no time to pass this one on.
  [['npm', 'start'], 'Gatehouse is ready', 'SIGKILL'],
  [['npx', 'gatehouse', 'serve'], 'Gatehouse is ready', 'SIGTERM'],
  [['npx', 'gatehouse', 'worker'], 'Gatehouse sends what is queued', 'SIGTERM'],
] as const)
  test(`${signal} for \`${command.join(' ')}\` ends the program itself`, async () => {
    const [program, ...args] = command
    const port = await findFreePort()
    const child = spawn(program, args, {
      cwd: ROOT,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        PORT: String(port),
        DATABASE_URL: database.databaseUrl,
        GATEHOUSE_SECRET: TEST_SECRET,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    while (!printed.includes(ready)) await once(child.stdout, 'data')

    child.kill(signal)
    // Its output is over when the last process that could write to it has ended.
    await once(child.stdout, 'close')
    assert.match(printed, /"msg":"stopping"/)
    await assert.rejects(fetch(`http://localhost:${port}/healthz`))
  })
