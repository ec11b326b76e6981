import { type CityResponse, open, validate } from 'maxmind'
import { ConfigError } from '../config.ts'
import { type LocalName, message, type Words } from '../i18n/messages.ts'
import { programMessage } from './user-agents.ts'
import type { ClientInfo } from './client-info.ts'

/** GeoIP: the rough location of an IP address, from a MaxMind database file on this machine. No other service is asked. */
export interface GeoIp {
  /**
   * "Berlin, Germany", or only the country, in the languages of the database; null for an IP address that it does not know.
   */
  locationOf(ipAddress: string): LocalName | null
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
        return nameOf(reader.get(ipAddress))
      } catch {
        // A damaged record of the file must not fail the page.
        return null
      }
    },
  }
}

/** "203.0.113.7 (Berlin, Germany)", or the IP address alone. */
export function ipMessage({ geoip }: { geoip: GeoIp }, ipAddress: string): Words {
  const place = geoip.locationOf(ipAddress)
  return place === null ? ipAddress : message('browsers.address_in_place', { address: ipAddress, place })
}

/** "Firefox on Linux, 203.0.113.7 (Berlin, Germany)"; without a program name when the User-Agent header has none. */
export function clientMessage(portal: { geoip: GeoIp }, { browser, address }: ClientInfo): Words {
  const program = programMessage(browser)
  const shown = ipMessage(portal, address)
  return program === null ? shown : message('browsers.at_address', { browser: program, address: shown })
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

/** A city without a name in a language is called there as in English. Every part of a record may be missing. */
function nameOf(found: CityResponse | null): LocalName | null {
  const parts = [found?.city?.names, found?.country?.names ?? found?.registered_country?.names].map(
    (names): Partial<Record<string, string>> => ({ ...names }),
  )
  const inLanguage = (language: string) => {
    const names = parts.map((names) => names[language] ?? names['en'])
    // A city state is named once.
    return [...new Set(names.filter((name) => typeof name === 'string' && name !== ''))].join(', ')
  }
  const en = inLanguage('en')
  if (en === '') return null
  const languages = new Set(parts.flatMap((names) => Object.keys(names)))
  return { names: { ...Object.fromEntries([...languages].map((each) => [each, inLanguage(each)])), en } }
}
