import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { isAdminApi } from '../api/admin-api.ts'
import { openApp } from './app.ts'
import type { Background } from './background.ts'
import type { Config } from '../config.ts'
import { Connections } from './connections.ts'
import { announcesTooMuch } from '../http/bodies.ts'
import type { Logger } from '../logger.ts'
import { writeCounts } from '../domain/statistics.ts'
import { type ProcessRecord, recordProcess } from './process-record.ts'
import { KEYS_EVERY_MS, repeat, TALLY_EVERY_MS } from './repeat.ts'
import { answerUnreadable } from './unreadable-requests.ts'

export interface RunningServer {
  port: number
  /** Graceful shutdown: finishes requests in progress, then closes the stores. */
  stop(): Promise<void>
}

/** Opens the stores, then the port. Rejects when either fails. */
export async function startServer(config: Config, logger: Logger, clock?: () => Date): Promise<RunningServer> {
  const app = await openApp(config, logger, clock)
  const server = createServer(
    {
      headersTimeout: 15_000,
      requestTimeout: 30_000,
      keepAliveTimeout: config.keepAliveTimeout * 1000,
      connectionsCheckingInterval: 5000,
    },
    app.handle,
  )
  const connections = new Connections(server)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
    answerUnreadable(error, socket, connections.answerOn(socket)),
  )
  server.on('checkContinue', (req, res) => {
    if (isAdminApi((req.url ?? '').split('?', 1)[0] as string) || !announcesTooMuch(req)) res.writeContinue()
    server.emit('request', req, res)
  })
  // An unknown expectation is no reason to refuse (RFC 9110 §10.1.1).
  server.on('checkExpectation', (req, res) => server.emit('request', req, res))
  let background: Background | null = null
  let record: ProcessRecord | null = null
  const followKeys = async () => {
    await app.protocol.followKeys()
    await record?.noteKeys()
  }
  try {
    record = await recordProcess(app.services, logger)
    // What was stored while this process was starting is known before it serves.
    await followKeys()
    server.listen(config.port, config.host)
    await once(server, 'listening')
    // No request waits for these modules, so they load after the port is open.
    if (config.inProcessWorker) {
      const { startBackground } = await import('./background.ts')
      background = await startBackground(app.services, config, logger)
    }
  } catch (error) {
    server.close()
    server.closeAllConnections()
    await record?.end()
    await app.close()
    throw error
  }
  // For example, a connection could not be accepted for want of file descriptors; the next one may be.
  server.on('error', (error) => logger.error({ error }, 'the server could not accept a connection'))
  const stopFollowing = repeat(followKeys, KEYS_EVERY_MS, logger)
  const stopCounting = repeat(() => writeCounts(app.services), TALLY_EVERY_MS, logger)

  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      app.protocol.stopWaiting()
      stopFollowing()
      stopCounting()
      background?.stop()
      await connections.drain()
      await record?.end()
      await app.close()
      background?.release()
      await app.scraper.leave()
    },
  }
}
