// identity-source/: the service of the organisation in which users live, one folder for each protocol that it may speak.
//
// It owns the requests to that service: how long one may take, what an answer may be, what is tried again.
// It leaves what an answer means for an identity to `domain/`, and knows neither the database nor a page.

import type { IdentitySource } from '../domain/identity-source.ts'
import type { Metrics } from '../domain/metrics.ts'
import type { Logger } from '../logger.ts'
import type { LdapConfig } from '../config.ts'

/** What a client of the source is given beside its settings. */
export interface SourceSurroundings {
  logger: Logger
  metrics: Metrics
  clock: () => Date
}

/** What the operator has set of the source. */
export interface SourceSettings {
  url: string
  secret: string
  /** Of a directory; null for anything else. */
  ldap: LdapConfig | null
}

/**
 * The client for the protocol that the scheme of the URL says; null without settings. It does not connect: a portal starts
 * while its source is down. A protocol is loaded only where it is used.
 */
export async function openIdentitySource(
  settings: SourceSettings | null,
  surroundings: SourceSurroundings,
): Promise<IdentitySource | null> {
  if (settings === null) return null
  const open = CLIENTS[new URL(settings.url).protocol]
  if (open === undefined) throw new Error('IDENTITY_SOURCE_URL: this version has no client for its scheme')
  return open(settings, surroundings)
}

type Open = (settings: SourceSettings, surroundings: SourceSurroundings) => Promise<IdentitySource>

/** By the scheme of the URL. */
const CLIENTS: Partial<Record<string, Open>> = {
  'http:': openHttp,
  'https:': openHttp,
  'ldap:': openDirectory,
  'ldaps:': openDirectory,
}

async function openHttp(...[settings, { clock, logger }]: Parameters<Open>): Promise<IdentitySource> {
  const { openHttpIdentitySource } = await import('./http/http-identity-source.ts')
  return openHttpIdentitySource({ ...settings, clock, logger })
}

async function openDirectory(...[{ ldap, url, secret }, surroundings]: Parameters<Open>): Promise<IdentitySource> {
  if (ldap === null) throw new Error('LDAP_BIND_DN: must be set where IDENTITY_SOURCE_URL is that of a directory')
  const { openLdapSource } = await import('./ldap/ldap-source.ts')
  return openLdapSource({ ...ldap, url, password: secret }, surroundings)
}
