import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { readMarkdown } from '../../scripts/documents/markdown.ts'
import { shellCommands } from '../../scripts/documents/shell-words.ts'
import { findGroup } from '../../src/domain/identities/groups.ts'
import { runCommand } from '../../src/testing/portal/commands.ts'
import { printed } from '../../src/testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../../src/testing/portal/open-portal.ts'
import { startTestServer } from '../../src/testing/portal/server.ts'

const PAGE = join(import.meta.dirname, '../../docs/admin-api.md')

test('the commands of the page of the admin API work, one after the other', async () => {
  const { blocks } = readMarkdown(await readFile(PAGE, 'utf8'))
  const server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  try {
    const [[, , ...create] = []] = blocks
      .filter(({ language }) => language === '')
      .flatMap(({ text }) => shellCommands(text))
    const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
    const { client_secret: secret } = printed<{ client_secret: string }>(await runCommand([...create, '--json'], env))

    const script = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text)
    assert.equal(script.length, 3)
    const shell = { PATH: process.env['PATH'] ?? '', PORTAL: server.url, SECRET: secret }
    await promisify(execFile)('sh', ['-euc', script.join('\n')], { env: shell })
    const group = await findGroup(server.services, 'Editors')
    assert.deepEqual([group?.roles, group?.description], [['editor'], 'They edit.'])
  } finally {
    await server.close()
  }
})
