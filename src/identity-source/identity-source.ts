// identity-source/: the service of the organisation in which users live, one folder for each protocol that it may speak.
//
// It owns the requests to that service: how long one may take, what an answer may be, what is tried again.
// It leaves what an answer means for an identity to `domain/`, and knows neither the database nor a page.

import type { IdentitySource } from '../domain/identity-source.ts'
import type { Metrics } from '../domain/metrics.ts'
import type { Logger } from '../logger.ts'

/** What a client of the source is given beside its settings. */
export interface SourceSurroundings {
  logger: Logger
  metrics: Metrics
  clock: () => Date
}

/**
 * The client for the protocol that the scheme of the URL says; null without settings. It does not connect: a portal starts
 * while its source is down. A protocol is loaded only where it is used.
 */
export async function openIdentitySource(
  settings: { url: string; secret: string } | null,
  surroundings: SourceSurroundings,
): Promise<IdentitySource | null> {
  if (settings === null) return null
  const open = CLIENTS[new URL(settings.url).protocol]
  if (open === undefined) throw new Error('IDENTITY_SOURCE_URL: this version has no client for its scheme')
  return open(settings, surroundings)
}

type Open = (settings: { url: string; secret: string }, surroundings: SourceSurroundings) => Promise<IdentitySource>

/** By the scheme of the URL. */
const CLIENTS: Partial<Record<string, Open>> = { 'http:': openHttp, 'https:': openHttp }

async function openHttp(...[settings, { clock, logger }]: Parameters<Open>): Promise<IdentitySource> {
  const { openHttpIdentitySource } = await import('./http/http-identity-source.ts')
  return openHttpIdentitySource({ ...settings, clock, logger })
}
