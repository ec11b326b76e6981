import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JWK } from 'jose'

/** A client's own server, which publishes its keys (JWKS URI). */
export interface KeyServer {
  uri: string
  /** How often it was asked. */
  asked: number
  /** How it answers from now on. */
  answer: (res: ServerResponse) => void
  /** It answers with these keys from now on. */
  publish(...keys: unknown[]): void
  close(): Promise<void>
}

export async function startKeyServer(...keys: JWK[]): Promise<KeyServer> {
  const server = createServer((_req, res) => {
    keyServer.asked++
    keyServer.answer(res)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const keyServer: KeyServer = {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    asked: 0,
    answer: () => {},
    publish(...published) {
      this.answer = (res) => void res.end(JSON.stringify({ keys: published }))
    },
    async close() {
      const closed = once(server.close(), 'close')
      server.closeAllConnections()
      await closed
    },
  }
  keyServer.publish(...keys)
  return keyServer
}
