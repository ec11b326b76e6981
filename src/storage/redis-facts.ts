import { openRedis } from './redis.ts'

/** What Redis says about itself. */
export interface RedisFacts {
  /** Such as 7.2.4; null where this user may not ask (ACL). */
  version: string | null
  /** Which keys it evicts when its memory is full; null where this user may not ask. */
  eviction: string | null
  /** Null where this user may not ask. */
  now: Date | null
}

/** Asks over a connection of its own. @throws Error when it does not answer, or refuses the password */
export async function findRedisFacts(url: string): Promise<RedisFacts> {
  let trouble: Error | null = null
  const redis = await openRedis(url, (error) => void (trouble = error))
  try {
    await redis.ping()
    const [information, time] = await Promise.all([
      redis.info().catch(() => ''),
      // Seconds and microseconds, as texts.
      redis.call('TIME').catch(() => null),
    ])
    const [seconds, micros] = (time ?? []) as string[]
    return {
      version: fieldOf(information, 'redis_version'),
      eviction: fieldOf(information, 'maxmemory_policy'),
      now: seconds === undefined ? null : new Date(Number(seconds) * 1000 + Number(micros) / 1000),
    }
  } catch (error) {
    // The reason why there is no connection says more than that a command could not be sent.
    throw trouble ?? error
  } finally {
    redis.disconnect()
  }
}

function fieldOf(information: string, name: string): string | null {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(information)?.[1] ?? null
}
