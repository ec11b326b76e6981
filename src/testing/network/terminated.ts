import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'

/** What PostgreSQL sends after `ReadyForQuery`: an `ErrorResponse`, FATAL, SQLSTATE 57P01 (admin_shutdown). */
const SHUTDOWN = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0')
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

export interface Terminating {
  url: string
  close(): Promise<void>
}

/**
 * A proxy in front of PostgreSQL that terminates every connection as soon as it is ready for its first query. Both messages
 * arrive in one packet, as sometimes when a server is stopped under load.
 */
export async function terminateWhenReady(databaseUrl: string): Promise<Terminating> {
  const target = new URL(databaseUrl)
  const server = createServer((client) => {
    const store = connect(Number(target.port), target.hostname)
    client.on('error', () => {}).on('data', (chunk) => store.write(chunk))
    store.on('error', () => {}).on('close', () => client.destroy())
    client.on('close', () => store.destroy())
    store.on('data', (chunk: Buffer) => {
      if (!chunk.subarray(-READY.length).equals(READY)) return client.write(chunk)
      const header = Buffer.from([0x45, 0, 0, 0, 4 + SHUTDOWN.length])
      return client.end(Buffer.concat([chunk, header, SHUTDOWN]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    async close() {
      server.close()
      await once(server, 'close')
    },
  }
}
