import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClock } from '../testing/portal/clock.ts'
import { FairQueue, Overloaded, type QueueLimits } from './fair-queue.ts'

/** A queue whose jobs end when the test says so, in the order they were started. */
function open(limits: QueueLimits = {}) {
  const clock = createClock()
  const queue = new FairQueue({ clock, ...limits })
  const started: string[] = []
  const running: (() => void)[] = []
  const refused: string[] = []
  return {
    clock,
    started,
    refused,
    send(source: string, name: string): void {
      queue
        .run(source, () => {
          started.push(name)
          return new Promise<void>((resolve) => running.push(resolve))
        })
        .catch((error: unknown) => {
          assert.ok(error instanceof Overloaded)
          refused.push(name)
        })
    },
    async endOne(): Promise<void> {
      await new Promise(setImmediate)
      running.shift()?.()
      await new Promise(setImmediate)
    },
  }
}

function sendMany(queue: ReturnType<typeof open>, source: string, count: number): string[] {
  const names = Array.from({ length: count }, (_, index) => `${source}${index + 1}`)
  for (const name of names) queue.send(source, name)
  return names
}

test('sources take turns, however many jobs one of them has sent', async () => {
  const queue = open()
  sendMany(queue, 'flood', 5)
  sendMany(queue, 'ada', 2)
  sendMany(queue, 'grace', 1)
  for (let turn = 0; turn < 8; turn++) await queue.endOne()
  assert.deepEqual(queue.started, ['flood1', 'flood2', 'ada1', 'grace1', 'flood3', 'ada2', 'flood4', 'flood5'])
})

test('no more jobs run at once than are allowed, and one that fails makes room, too', async () => {
  const queue = new FairQueue({ atOnce: 2 })
  let running = 0
  let most = 0
  const results = await Promise.allSettled(
    Array.from({ length: 9 }, (_, index) =>
      queue.run(`source ${index % 4}`, async () => {
        most = Math.max(most, ++running)
        await new Promise(setImmediate)
        running--
        if (index % 3 === 0) throw new Error('failed')
        return index
      }),
    ),
  )
  assert.equal(most, 2)
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : null)),
    [null, 1, 2, null, 4, 5, null, 7, 8],
  )
})

test('a job that has waited too long is refused, and those that came later go on', async () => {
  const queue = open({ timeout: 3000 })
  queue.send('ada', 'runs')
  queue.send('ada', 'waits')
  queue.send('ada', 'waits too')
  queue.clock.advance(2)
  queue.send('ada', 'comes later')
  queue.clock.advance(1)
  await queue.endOne()
  assert.deepEqual(queue.refused, ['waits', 'waits too'])
  assert.deepEqual(queue.started, ['runs', 'comes later'])
})

test('a job that waits is refused in time while the one before it goes on and on', async () => {
  const queue = open({ timeout: 20 })
  queue.send('ada', 'runs')
  queue.send('grace', 'waits')
  while (queue.refused.length === 0) await new Promise(setImmediate)
  assert.deepEqual(queue.refused, ['waits'])
  queue.send('grace', 'is next')
  await queue.endOne()
  assert.deepEqual(queue.started, ['runs', 'is next'])
})

test('in a full queue the source with the most waiting jobs loses its newest', async () => {
  const queue = open({ waiting: 4 })
  sendMany(queue, 'flood', 7)
  await new Promise(setImmediate)
  assert.deepEqual(queue.refused, ['flood6', 'flood7'])
  sendMany(queue, 'ada', 3)
  await new Promise(setImmediate)
  assert.deepEqual(queue.refused.toSorted(), ['ada3', 'flood4', 'flood5', 'flood6', 'flood7'])
  for (let turn = 0; turn < 5; turn++) await queue.endOne()
  assert.deepEqual(queue.started, ['flood1', 'flood2', 'ada1', 'flood3', 'ada2'])
})
