import { type CityResponse, open, validate } from 'maxmind'
import { ConfigError } from '../config.ts'
import { programInWords } from './user-agents.ts'
import type { ClientInfo } from './client-info.ts'

/** Roughly where addresses are, from a file on this machine; nobody else is asked. */
export interface GeoIp {
  /** "Berlin, Germany", or only the country; null for an address nobody knows the place of. */
  locationOf(address: string): string | null
}

/**
 * Reads a MaxMind DB file of cities or countries, whole, into memory; a newer file counts from the next start on. Without
 * one nobody knows where anything is. @throws ConfigError for a file that is missing or no such database
 */
export async function openGeoIp(path: string | null): Promise<GeoIp> {
  if (path === null) return { locationOf: () => null }
  const reader = await openDatabase(path)
  const knowsIpv6 = reader.metadata.ipVersion === 6
  return {
    locationOf(address) {
      if (!validate(address) || (address.includes(':') && !knowsIpv6)) return null
      try {
        return inWords(reader.get(address))
      } catch {
        // A file that is damaged here and there; that is no reason to keep a page from anybody.
        return null
      }
    },
  }
}

/** "203.0.113.7 (Berlin, Germany)", or the address alone. */
export function ipInWords({ geoip }: { geoip: GeoIp }, address: string): string {
  const place = geoip.locationOf(address)
  return place === null ? address : `${address} (${place})`
}

/** "Firefox on Linux, 203.0.113.7 (Berlin, Germany)"; a program that does not say what it is goes without a name. */
export function clientInWords(portal: { geoip: GeoIp }, { browser, address }: ClientInfo): string {
  return [programInWords(browser), ipInWords(portal, address)].filter((part) => part !== null).join(', ')
}

async function openDatabase(path: string) {
  try {
    const reader = await open<CityResponse>(path)
    // What is not whole is found out now, and not when somebody wants to see a page.
    reader.get('192.0.2.1')
    return reader
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code !== undefined
    const fault = isMissing ? 'the file cannot be read' : 'the file is not a MaxMind DB database'
    throw new ConfigError(`Gatehouse cannot start: one setting is wrong.\n  GEOIP_DATABASE: ${fault}`)
  }
}

/** Some states are one city, and are named once. Whoever makes such files may leave anything out. */
function inWords(found: CityResponse | null): string | null {
  const names = [found?.city?.names?.en, found?.country?.names?.en ?? found?.registered_country?.names?.en]
  const words = new Set(names.filter((name) => typeof name === 'string' && name !== ''))
  return words.size === 0 ? null : [...words].join(', ')
}
