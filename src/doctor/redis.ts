import { type Finding, finding } from '../domain/findings.ts'
import { findRedisFacts } from '../storage/redis-facts.ts'
import { findSkew } from './clocks.ts'
import { maskedUrl } from './masked-url.ts'
import type { Patient } from './patient.ts'

const OLDEST = [6, 2] as const

export async function examineRedis({ config: { redisUrl }, clock }: Patient): Promise<Finding[]> {
  if (redisUrl === null) return []
  const before = clock()
  const facts = await findRedisFacts(redisUrl).catch((error: Error) => error)
  if (facts instanceof Error)
    return [
      finding('redis_unreachable', `Redis does not answer: ${facts.message}.`, `REDIS_URL=${maskedRedis(redisUrl)}`),
    ]

  const { version, eviction, now } = facts
  const found = now === null ? [] : findSkew('Redis', now, before, clock())
  if (version === null || eviction === null)
    found.push(
      finding(
        'not_checked',
        'Redis does not let this user ask for its version and its maxmemory-policy.',
        'ACL SETUSER gatehouse +info',
        'hint',
      ),
    )
  if (version !== null && isOlder(version))
    found.push(
      finding(
        'store_old',
        `Redis is version ${version}; the portal needs 6.2 or newer.`,
        'upgrade Redis to 6.2 or newer',
      ),
    )
  if (eviction !== null && eviction !== 'noeviction')
    found.push(
      finding(
        'redis_evicts',
        `Redis has maxmemory-policy ${eviction}: when its memory is full it drops sessions, codes and counters of attempts.`,
        'redis-cli CONFIG SET maxmemory-policy noeviction',
      ),
    )
  return found
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}

/** Sentinels and nodes have commas between. */
function maskedRedis(urls: string): string {
  return urls
    .split(',')
    .map((url) => (url.includes('://') ? maskedUrl(url) : url.replace(/:[^:@]*@/, ':…@')))
    .join(',')
}
