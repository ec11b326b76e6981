import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { runCommand } from '../testing/portal/commands.ts'

const ENV = { PATH: process.env['PATH'] ?? '', IDENTITY_SOURCE_SECRET: 'a secret of thirty-two characters' }

test('a source that is not there, and what is no source, is said in one sentence', async () => {
  const check = async (args: string[], env: Record<string, string> = ENV) =>
    runCommand(['identity-source', 'check', ...args], env)
  const nothing = await check([`http://127.0.0.1:${await findFreePort()}`])
  assert.equal(nothing.code, 1)
  assert.match(nothing.stdout, /^ 1 FAIL {4}capabilities: .+\n +found: capabilities failed \(ECONNREFUSED\)/)
  for (const [args, env, words] of [
    [['ftp://people.example.com'], ENV, /not a URL that begins with https/],
    [['people'], ENV, /not a URL that begins with https/],
    [['https://ada@people.example.com'], ENV, /no user name, query or fragment/],
    [['https://people.example.com/?a=b'], ENV, /no user name, query or fragment/],
    [['https://people.example.com', '--password-stdin'], ENV, /--password-stdin needs --login/],
    [['https://people.example.com'], { PATH: ENV.PATH }, /IDENTITY_SOURCE_SECRET: must be set/],
  ] as const) {
    const { code, stdout, stderr } = await check([...args], env)
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, words)
  }
})
