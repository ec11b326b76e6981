import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Connections } from './connections.ts'

async function listen(handle: RequestListener = (_req, res) => res.end('answered')) {
  const server = createServer({ keepAliveTimeout: 60_000 }, handle)
  const connections = new Connections(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // What a stop does in the end, when its limit is over.
  const cut = mock.method(server, 'closeAllConnections')
  return { port: (server.address() as AddressInfo).port, connections, cuts: () => cut.mock.callCount() }
}

async function ask(port: number, agent: Agent): Promise<{ connection: string | undefined; body: string }> {
  const [response] = (await once(get({ host: '127.0.0.1', port, agent }), 'response')) as [IncomingMessage]
  return { connection: response.headers.connection, body: await text(response) }
}

test('without a connection there is nothing to wait for', async () => {
  const { connections, cuts } = await listen()
  await connections.drain()
  assert.equal(cuts(), 0)
})

test('a connection that has been silent for long is not waited for', async () => {
  const { port, connections, cuts } = await listen()
  await ask(port, new Agent({ keepAlive: true }))
  await sleep(600)
  await connections.drain()
  assert.equal(cuts(), 0)
})

test('a connection that is in use is answered once more, with the word that this was the last time', async () => {
  const { port, connections } = await listen()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  assert.deepEqual(await ask(port, agent), { connection: 'keep-alive', body: 'answered' })
  const drained = connections.drain()
  assert.deepEqual(await ask(port, agent), { connection: 'close', body: 'answered' })
  await drained
  await assert.rejects(ask(port, agent), { code: 'ECONNREFUSED' })
})

test('what is being answered when the stop comes is answered, and its connection is closed', async () => {
  let finish = () => {}
  const asked = Promise.withResolvers<void>()
  const { port, connections } = await listen((_req, res) => {
    finish = () => void res.end('late')
    asked.resolve()
  })
  const answer = ask(port, new Agent({ keepAlive: true }))
  await asked.promise
  const drained = connections.drain()
  await sleep(700)
  finish()
  assert.deepEqual(await answer, { connection: 'close', body: 'late' })
  await drained
})

test('a connection on which nothing was ever asked does not hold up the stop', async () => {
  const { port, connections, cuts } = await listen()
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  await connections.drain()
  assert.equal(cuts(), 0)
  socket.destroy()
})
