import { isIP } from 'node:net'
import proxyAddr from 'proxy-addr'
import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** CIDRs with commas between. */
export function networks(): ValueType<string[]> {
  return {
    schema: z
      .string()
      .transform((value) => value.split(',').map((network) => network.trim()))
      .refine((each) => each.every(isNetwork), 'must be networks like 10.0.0.0/8 or fd00::/8, with commas between'),
    words: 'networks in CIDR notation, with commas between',
  }
}

function isNetwork(value: string): boolean {
  const [, address = '', bits = ''] = /^([\da-f.:]+)\/(\d{1,3})$/i.exec(value) ?? []
  const kind = isIP(address)
  return kind !== 0 && Number(bits) <= (kind === 4 ? 32 : 128)
}

/** Which proxies are trusted, as Express' "trust proxy" reads it. */
export function trustedProxies(): ValueType<boolean | number | string> {
  return {
    schema: z
      .string()
      .refine(isProxySetting, 'must be true, false, a number of proxies, or their addresses')
      .transform(readProxySetting),
    words:
      'a number of proxies; their IP addresses or networks, with commas between; `true` for every peer; or `false` for none',
  }
}

function isProxySetting(value: string): boolean {
  if (/^(true|false|\d{1,2})$/.test(value)) return true
  try {
    proxyAddr.compile(value.split(/\s*,\s*/))
    return true
  } catch {
    return false
  }
}

function readProxySetting(value: string): boolean | number | string {
  if (value === 'true' || value === 'false') return value === 'true'
  return /^\d+$/.test(value) ? Number(value) : value
}
