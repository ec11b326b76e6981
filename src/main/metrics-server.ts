import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Services } from '../domain/services.ts'
import type { Config } from '../config.ts'
import { answerHealth } from '../http/health.ts'
import { createMetricsAnswer } from '../http/metrics-answer.ts'
import { readTarget } from '../http/request-target.ts'
import type { Logger } from '../logger.ts'
import { Scraper } from './scraper.ts'

/** Answers `/metrics` and `/healthz` of a process that serves nothing else. @returns closes the port */
export async function startMetricsServer(
  services: Services,
  { host, metricsPort, metricsToken }: Pick<Config, 'host' | 'metricsPort' | 'metricsToken'>,
  logger: Logger,
): Promise<() => void> {
  if (metricsPort === null) return () => {}
  const scraper = new Scraper(services)
  const answerMetrics = createMetricsAnswer(metricsToken, async () => scraper.scrape())
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, (req, res) => {
    const target = readTarget(req.url ?? '', req.headers.host)
    const path = target?.path.split('?', 1)[0]
    if (path === '/healthz') return answerHealth(res)
    const answered = path === '/metrics' ? answerMetrics(req, res, target?.authority ?? null) : Promise.resolve(false)
    answered
      .then((isAnswered) => isAnswered || res.writeHead(404, { 'Content-Length': 0 }).end())
      .catch((error: unknown) => {
        logger.error({ error }, 'the metrics could not be answered')
        res.destroy()
      })
  })
  server.listen(metricsPort, host)
  await once(server, 'listening')
  return () => {
    server.close()
    server.closeAllConnections()
  }
}
