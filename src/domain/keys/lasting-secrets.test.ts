import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestPortal, TEST_SECRET, type TestPortal } from '../../testing/portal/open-portal.ts'
import { openLastingSecret } from './lasting-secrets.ts'
import { deriveSecrets } from './secrets.ts'

const NEXT = 'the next root secret, of 32 bytes or more'

let portal: TestPortal
before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

const open = async (...roots: [string, ...string[]]) =>
  (await openLastingSecret(portal.storage, deriveSecrets(roots), 'test')).export().toString('hex')

test('a lasting secret is made once, and stays when the root secret is rotated and the old one is taken away', async () => {
  const [first, ...others] = await Promise.all([open(TEST_SECRET), open(TEST_SECRET), open(TEST_SECRET)])
  assert.match(first, /^[\da-f]{64}$/)
  assert.deepEqual(others, [first, first])
  assert.equal(await open(NEXT, TEST_SECRET), first)
  assert.equal(await open(NEXT), first)
  await assert.rejects(open(TEST_SECRET), /GATEHOUSE_SECRET does not open/)
})

test('it is stored encrypted', async () => {
  const secret = Buffer.from(await open(NEXT), 'hex').toString('base64url')
  const { rows } = await portal.storage.pool.query<{ encrypted: string }>('SELECT encrypted FROM lasting_secrets')
  assert.ok(rows.length >= 2)
  assert.equal(JSON.stringify(rows).includes(secret), false)
})
