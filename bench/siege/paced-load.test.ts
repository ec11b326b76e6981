import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { getRequest } from '../requests.ts'
import { runPaced } from './paced-load.ts'

test('what a server that stalls keeps waiting counts from when it was due', async () => {
  let asked = 0
  const server = createServer((_req, res) => {
    asked++
    // Nothing is answered before 200 ms are over, and everything at once after that.
    setTimeout(() => res.end('here'), Math.max(0, start + 200 - performance.now()))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const start = performance.now()
  try {
    const client = { next: () => getRequest('127.0.0.1', '/'), accept: () => true }
    const slice = await runPaced(port, [client, client], 100, 0.4)

    assert.equal(slice.requests, 40)
    assert.equal(asked, 40)
    assert.equal(slice.errors, 0)
    assert.ok(slice.max_ms > 150, `the first waited for ${slice.max_ms} ms`)
    assert.ok(slice.p50_ms > 1, 'those that were due meanwhile waited too, though they were sent late')
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test('a lost connection costs what was due on it, and no more time', async () => {
  const server = createServer((req) => req.socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const client = { next: () => getRequest('127.0.0.1', '/'), accept: () => true }
    const slice = await runPaced((server.address() as AddressInfo).port, [client], 100, 0.1)
    assert.deepEqual([slice.requests, slice.errors], [10, 10])
  } finally {
    server.close()
  }
})
