import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readConfig } from '../config.ts'
import { SOURCE_SECRET, startUserSource, type UserSource } from '../testing/portal/user-source.ts'
import { examineIdentitySource } from './identity-source.ts'

let source: UserSource
before(async () => void (source = await startUserSource()))
after(() => source.close())

async function look(url = source.url): Promise<string[]> {
  const config = readConfig({
    NODE_ENV: 'test',
    GATEHOUSE_SECRET: 'x0123456789'.repeat(4),
    IDENTITY_SOURCE_URL: url,
    IDENTITY_SOURCE_SECRET: SOURCE_SECRET,
  })
  const findings = await examineIdentitySource({ config, clock: () => new Date() })
  return findings.map(({ code, change }) => `${code}: ${change}`)
}

test('a source that answers as agreed is no finding; one that does not is, with the line to change', async () => {
  assert.deepEqual(await look(), [])
  assert.deepEqual(await look('http://127.0.0.1:9/x'), [
    'identity_source_unreachable: IDENTITY_SOURCE_URL=http://127.0.0.1:9/x',
  ])
  source.behave = ({ res }) => res.writeHead(200, { 'content-type': 'application/json' }).end('{"user":null}')
  assert.deepEqual(await look(), [`identity_source_answer: gatehouse identity-source check ${source.url}`])
  source.behave = ({ res }) => res.writeHead(401).end('{}')
  assert.deepEqual(await look(), [`identity_source_answer: gatehouse identity-source check ${source.url}`])
})
