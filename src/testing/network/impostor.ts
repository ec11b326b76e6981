import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { stopBeforeExit } from '../services/shutdown.ts'

export interface Impostor {
  port: number
  /** Everything that clients have sent. */
  heard(): string
  close(): Promise<void>
}

/**
 * A program that listens in place of PostgreSQL. It answers the startup message, and each later one, with the next of these
 * packets; the last one repeats.
 */
export async function startImpostor(packets: ((heard: string) => Buffer)[], port = 0): Promise<Impostor> {
  const sockets = new Set<Socket>()
  let heard = ''
  const server = createServer((socket) => {
    sockets.add(socket)
    let answers = 0
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1')
      const packet = packets[Math.min(answers++, packets.length - 1)]
      if (packet !== undefined) socket.write(packet(chunk.toString('latin1')))
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    heard: () => heard,
    close: stopBeforeExit(async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }),
  }
}

/** A server message (PostgreSQL, "Message Formats"). */
export function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.write(type)
  header.writeUInt32BE(4 + body.length, 1)
  return Buffer.concat([header, body])
}

/** `Authentication…` with this code and data. */
export function authentication(code: number, rest: string | Buffer = ''): Buffer {
  const body = Buffer.alloc(4)
  body.writeUInt32BE(code)
  return message('R', Buffer.concat([body, Buffer.from(rest)]))
}

export const READY = message('Z', Buffer.from('I'))
