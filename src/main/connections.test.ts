import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent, createServer, get, type IncomingMessage, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeTemporaryFolder } from '../testing/services/temporary-folder.ts'
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

test('a connection that the system has accepted, and the process not yet, is answered', async () => {
  const { port, connections } = await listen()
  const folder = await makeTemporaryFolder('client')
  const connected = join(folder.path, 'connected')
  const client = spawn(
    process.execPath,
    [
      '-e',
      `const socket = require('node:net').connect(${port}, '127.0.0.1', () => {
        socket.write('GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')
        require('node:fs').writeFileSync(${JSON.stringify(connected)}, '')
      })
      socket.pipe(process.stdout)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const answer = text(client.stdout)
  // Without a turn of the event loop in between.
  while (!existsSync(connected) && client.exitCode === null);
  await connections.drain()
  assert.match(await answer, /^HTTP\/1\.1 200 OK\r\n[^]*answered/)
  await folder.remove()
})

test('a connection on which nothing was ever asked does not hold up the stop', async () => {
  const { port, connections, cuts } = await listen()
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  await connections.drain()
  assert.equal(cuts(), 0)
  socket.destroy()
})
