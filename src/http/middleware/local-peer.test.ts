import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, before, test } from 'node:test'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { portOf, send } from '../../testing/network/wire.ts'
import { isLocalPeer } from './local-peer.ts'

const PATHS = ['/dev/outbox', '/dev/outbox/20261121T152544000Z-any', '/dev/outbox/20261121T152544000Z-any/eml']

let server: TestServer
let host: string

// As a developer starts it who wants to try the portal from a telephone.
before(async () => {
  server = await startTestServer({ env: { NODE_ENV: 'development', HOST: '0.0.0.0', TRUST_PROXY: 'true' } })
  host = new URL(server.url).host
})
after(() => server.close())

test('a browser on this machine reads the outbox', async () => {
  assert.equal((await send(portOf(server.url), { path: '/dev/outbox', headers: { host } })).status, 200)
})

for (const [header, value] of [
  ['X-Forwarded-For', '127.0.0.1'],
  ['X-Forwarded-For', '203.0.113.7'],
  ['x-forwarded-host', 'localhost'],
  ['X-Forwarded-Proto', 'https'],
  ['Forwarded', 'for=127.0.0.1'],
  ['X-Real-IP', '::1'],
  ['Via', '1.1 proxy'],
  ['CF-Connecting-IP', '203.0.113.7'],
] as const)
  test(`a request with ${header}: ${value} came through a proxy, and finds no outbox`, async () => {
    for (const path of PATHS)
      assert.equal((await send(portOf(server.url), { path, headers: { host, [header]: value } })).status, 404, path)
  })

for (const { address } of Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .filter(isOfNetwork))
  test(`the network finds no outbox at ${address}, whatever Host it names`, async () => {
    const own = { path: '/login', headers: { host } }
    assert.equal((await send(portOf(server.url), own, address)).status, 200)
    for (const path of PATHS)
      assert.equal((await send(portOf(server.url), { path, headers: { host } }, address)).status, 404, path)
  })

for (const [remoteAddress, isLocal] of [
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['192.168.1.20', false],
  ['::ffff:192.168.1.20', false],
  ['fe80::1%eth0', false],
  ['0.0.0.0', false],
  ['::', false],
  ['128.0.0.1', false],
  // The client has reset the connection.
  [undefined, false],
] as const)
  test(`${remoteAddress} is ${isLocal ? 'this machine' : 'another machine'}`, () => {
    const headers: IncomingHttpHeaders = { host: 'localhost' }
    assert.equal(isLocalPeer({ socket: { remoteAddress } as Socket, headers }), isLocal)
  })

function isOfNetwork({ internal, family }: { internal: boolean; family: string }): boolean {
  return !internal && family === 'IPv4'
}
