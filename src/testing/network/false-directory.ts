import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { BerReader, BerWriter } from 'ldapts'

/** An LDAP server that answers what a test wants, whatever it is asked. */
export interface FalseDirectory {
  port: number
  close: () => Promise<void>
}

/** @param answer gets the number and the operation (RFC 4511 §4.2 to §4.12) of each question */
export async function startFalseDirectory(
  answer: (question: { id: number; operation: number }) => Buffer,
): Promise<FalseDirectory> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      const reader = new BerReader(chunk)
      reader.readSequence()
      const id = reader.readInt() ?? 0
      socket.write(answer({ id, operation: reader.peek() ?? 0 }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A result (RFC 4511 §4.1.9): code, DN and words. The answer to a question has the tag after its own. */
export function ldapResult({ id, operation }: { id: number; operation: number }, code: number, words = ''): Buffer {
  const writer = new BerWriter()
  writer.startSequence()
  writer.writeInt(id)
  // A search ends with a tag of its own, after its entries.
  writer.startSequence(operation === 0x63 ? 0x65 : operation + 1)
  writer.writeEnumeration(code)
  writer.writeString('')
  writer.writeString(words)
  writer.endSequence()
  writer.endSequence()
  return writer.buffer
}
