import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queueMail } from '../domain/mail-jobs.ts'
import { writeCounts } from '../domain/statistics.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { openTestPortal } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'

test('a worker that does not run, and a proxy that is not trusted, are seen in what the processes left', async () => {
  const portal = await openTestPortal('postgres', { IN_PROCESS_WORKER: 'false' })
  const find = async () => new Map((await portal.examine('quick')).findings.map((each) => [each.code, each.change]))
  try {
    const identityId = await addIdentity(portal, ada)
    await queueMail(portal, { kind: 'test', identityId, at: portal.clock().toISOString() }, portal.storage.pool)
    const before = await find()
    assert.deepEqual([before.has('worker_missing'), before.has('trust_proxy_off')], [false, false])

    portal.tally.count('forwarded_for_ignored')
    await writeCounts(portal)
    portal.clock.advance(180)
    const found = await find()
    assert.equal(found.get('worker_missing'), 'gatehouse worker')
    assert.equal(found.get('trust_proxy_off'), 'TRUST_PROXY=1')
    assert.equal(found.has('mails_waiting'), false)

    portal.clock.advance(86_400)
    const later = await find()
    assert.equal(later.has('trust_proxy_off'), false)
    assert.match(later.get('mails_waiting') ?? '', /^SMTP_URL=/)
  } finally {
    await portal.close()
  }
})
