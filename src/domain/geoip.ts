import { type CityResponse, open, validate } from 'maxmind'
import { ConfigError } from '../config.ts'
import { message } from '../i18n/messages.ts'
import { programInWords, programMessage, type Words } from './user-agents.ts'
import type { ClientInfo } from './client-info.ts'

/** GeoIP: the rough location of an IP address, from a MaxMind database file on this machine. No other service is asked. */
export interface GeoIp {
  /** "Berlin, Germany", or only the country; null for an IP address that the database does not know. */
  locationOf(ipAddress: string): string | null
}

/**
 * Reads a MaxMind DB file of cities or countries, whole, into memory; a newer file counts from the next start on. Without a file
 * no location is known. @throws ConfigError when the file is missing or not a MaxMind database
 */
export async function openGeoIp(path: string | null): Promise<GeoIp> {
  if (path === null) return { locationOf: () => null }
  const reader = await openDatabase(path)
  const knowsIpv6 = reader.metadata.ipVersion === 6
  return {
    locationOf(ipAddress) {
      if (!validate(ipAddress) || (ipAddress.includes(':') && !knowsIpv6)) return null
      try {
        return inWords(reader.get(ipAddress))
      } catch {
        // A damaged record of the file must not fail the page.
        return null
      }
    },
  }
}

/** "203.0.113.7 (Berlin, Germany)", or the IP address alone. */
export function ipInWords({ geoip }: { geoip: GeoIp }, ipAddress: string): string {
  const location = geoip.locationOf(ipAddress)
  return location === null ? ipAddress : `${ipAddress} (${location})`
}

/** "Firefox on Linux, 203.0.113.7 (Berlin, Germany)"; without a program name when the User-Agent header has none. */
export function clientInWords(portal: { geoip: GeoIp }, { browser, address }: ClientInfo): string {
  return [programInWords(browser), ipInWords(portal, address)].filter((part) => part !== null).join(', ')
}

/** The same for users, in the language of the page. */
export function clientMessage(portal: { geoip: GeoIp }, { browser, address }: ClientInfo): Words {
  const program = programMessage(browser)
  const place = ipInWords(portal, address)
  return program === null ? place : message('browsers.at_address', { browser: program, address: place })
}

async function openDatabase(path: string) {
  try {
    const reader = await open<CityResponse>(path)
    // A broken file fails the start, not the first page.
    reader.get('192.0.2.1')
    return reader
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code !== undefined
    const fault = isMissing ? 'the file cannot be read' : 'the file is not a MaxMind DB database'
    throw new ConfigError(`Gatehouse cannot start: one setting is wrong.\n  GEOIP_DATABASE: ${fault}`)
  }
}

/** A city state is named once. Every part of a record may be missing. */
function inWords(found: CityResponse | null): string | null {
  const names = [found?.city?.names?.en, found?.country?.names?.en ?? found?.registered_country?.names?.en]
  const words = new Set(names.filter((name) => typeof name === 'string' && name !== ''))
  return words.size === 0 ? null : [...words].join(', ')
}
