import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createApp } from './app.ts'
import { type Background, KEYS_EVERY_MS, repeat, startBackground } from './background.ts'
import type { Config } from './config.ts'
import { Connections } from './connections.ts'
import type { Logger } from './logger.ts'

export interface RunningServer {
  port: number
  /** Finishes what is in flight, then closes the stores. */
  stop(): Promise<void>
}

/** Opens the stores, then the door. Rejects when either fails. */
export async function startServer(config: Config, logger: Logger, clock?: () => Date): Promise<RunningServer> {
  const app = await createApp(config, logger, clock)
  const server = createServer(
    { headersTimeout: 15_000, requestTimeout: 30_000, keepAliveTimeout: 65_000, connectionsCheckingInterval: 5000 },
    app.handle,
  )
  const connections = new Connections(server)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => answerUnreadable(error, socket))
  let background: Background | null = null
  try {
    background = config.inProcessWorker ? await startBackground(app.portal, config, logger) : null
    server.listen(config.port, config.host)
    await once(server, 'listening')
  } catch (error) {
    background?.stop()
    await app.close()
    throw error
  }
  const stopFollowing = repeat(() => app.protocol.followKeys(), KEYS_EVERY_MS, logger)

  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      app.protocol.stopWaiting()
      stopFollowing()
      background?.stop()
      await connections.drain()
      await app.close()
      background?.release()
    },
  }
}

/** What is not HTTP, or too long for it, never becomes a request; it still gets an answer with words. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, words] = UNREADABLE[error.code ?? ''] ?? [
    '400 Bad Request',
    'That is not a request this portal can read.',
  ]
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${words.length + 1}\r\n\r\n${words}\n`,
  )
}

const UNREADABLE: Record<string, [string, string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The headers of that request are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'That request took too long to arrive.'],
}
