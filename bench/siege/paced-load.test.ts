import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { getRequest } from '../requests.ts'
import { runPaced } from './paced-load.ts'

const STALL_MS = 200

test('what a server that stalls keeps waiting counts from when it was due', async () => {
  let asked = 0
  let stalledUntil = 0
  const server = createServer((_req, res) => {
    // The first request begins a stall, after which everything is answered at once.
    if (asked++ === 0) stalledUntil = performance.now() + STALL_MS
    setTimeout(() => res.end('here'), Math.max(0, stalledUntil - performance.now()))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const client = { next: () => getRequest('127.0.0.1', '/'), accept: () => true }
    const slice = await runPaced(port, [client, client], 100, 0.4)

    assert.equal(slice.requests, 40)
    assert.equal(asked, 40)
    assert.equal(slice.errors, 0)
    // A slow machine only makes it longer: the server's own timer is in it.
    assert.ok(slice.max_ms > STALL_MS - 2, `the first waited for ${slice.max_ms} ms`)
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
