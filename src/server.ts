import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type App, createApp } from './app.ts'
import type { Config } from './config.ts'
import { Connections } from './connections.ts'
import { startDeliveries } from './deliveries.ts'
import { endFamiliesOfDisabledApps } from './domain/apps.ts'
import { eraseDeletedAccounts } from './domain/erasure.ts'
import { expireFamilies, expireIdentitySessions } from './domain/expiry.ts'
import {
  pruneCounters,
  pruneFamilies,
  pruneHandshakes,
  pruneIdentitySessions,
  pruneMailLinks,
  pruneSuspensions,
} from './domain/pruning.ts'
import type { Logger } from './logger.ts'

const KEYS_EVERY_MS = 15_000
const PRUNE_EVERY_MS = 60_000
const EXPIRE_EVERY_MS = 5000

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
  let stopDeliveries: () => void
  try {
    stopDeliveries = await startDeliveries(app.portal, config, logger)
    server.listen(config.port, config.host)
    await once(server, 'listening')
  } catch (error) {
    await app.close()
    throw error
  }
  const stopWork = startBackgroundWork(app, logger)

  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      stopWork()
      await connections.drain()
      await app.close()
      stopDeliveries()
    },
  }
}

/** What nobody waits for: taking up new signing keys, forgetting what has expired. */
function startBackgroundWork(app: App, logger: Logger): () => void {
  const stopping = new AbortController()
  const work = (run: () => Promise<unknown>, every: number) => {
    let isRunning = false
    const runAlone = async () => {
      // A database that is slow today is not asked by two rounds at once.
      if (isRunning) return
      isRunning = true
      try {
        await run()
      } catch (error) {
        logger.warn({ error }, 'background work failed; it will be tried again')
      } finally {
        isRunning = false
      }
    }
    return setInterval(() => void runAlone(), every).unref()
  }
  const timers = [
    work(() => app.protocol.followKeys(), KEYS_EVERY_MS),
    work(() => expireIdentitySessions(app.portal, stopping.signal), EXPIRE_EVERY_MS),
    work(() => expireFamilies(app.portal, stopping.signal), EXPIRE_EVERY_MS),
    work(() => endFamiliesOfDisabledApps(app.portal, stopping.signal), PRUNE_EVERY_MS),
    work(() => pruneHandshakes(app.portal, stopping.signal), PRUNE_EVERY_MS),
    work(() => pruneFamilies(app.portal, stopping.signal), PRUNE_EVERY_MS),
    work(() => pruneIdentitySessions(app.portal, stopping.signal), PRUNE_EVERY_MS),
    work(() => eraseDeletedAccounts(app.portal, stopping.signal), PRUNE_EVERY_MS),
    work(() => pruneCounters(app.portal, stopping.signal), PRUNE_EVERY_MS),
    work(() => pruneSuspensions(app.portal, stopping.signal), PRUNE_EVERY_MS),
    work(() => pruneMailLinks(app.portal, stopping.signal), PRUNE_EVERY_MS),
  ]
  return () => {
    stopping.abort()
    for (const timer of timers) clearInterval(timer)
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
