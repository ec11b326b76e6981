import type { Cluster, Redis, RedisOptions } from 'ioredis'

export type RedisClient = Redis | Cluster

/**
 * `redis://…` and `rediss://…` name one server, `redis+sentinel://user:password@host:port,host:port/name` a name that
 * Sentinels know, `redis+cluster://user:password@host:port,host:port` a Cluster. While the server is unavailable a command
 * fails within two seconds; the client reconnects by itself. `onError` is called for every failed attempt.
 */
export async function openRedis(url: string, onError: (error: Error) => void): Promise<RedisClient> {
  const options: RedisOptions = {
    connectTimeout: 1500,
    commandTimeout: 1500,
    maxRetriesPerRequest: 1,
    retryStrategy: (attempt) => Math.min(attempt * 50, 500),
  }
  const client = await connect(url, options)
  client.on('error', onError)
  return client
}

async function connect(url: string, options: RedisOptions): Promise<RedisClient> {
  // Loaded only where there is a Redis.
  const { Cluster, Redis } = await import('ioredis')
  const scheme = url.slice(0, url.indexOf('://'))
  if (scheme === 'redis' || scheme === 'rediss') return new Redis(url, options)

  const nodes = url.split(',').map((node) => new URL(node.includes('://') ? node : `redis://${node}`))
  const first = nodes[0] as URL
  const credentials = {
    ...(first.username === '' ? {} : { username: decodeURIComponent(first.username) }),
    ...(first.password === '' ? {} : { password: decodeURIComponent(first.password) }),
  }
  const tls = scheme.startsWith('rediss') ? { tls: {} } : {}
  if (scheme === 'redis+cluster' || scheme === 'rediss+cluster') {
    const addresses = nodes.map((node) => ({ host: node.hostname, port: Number(node.port || 6379) }))
    return new Cluster(addresses, {
      redisOptions: { ...options, ...credentials, ...tls },
      clusterRetryStrategy: () => 500,
    })
  }
  const sentinels = nodes.map((node) => ({ host: node.hostname, port: Number(node.port || 26_379) }))
  const name = (nodes.at(-1) as URL).pathname.slice(1) || 'mymaster'
  return new Redis({ ...options, ...credentials, ...tls, enableTLSForSentinelMode: 'tls' in tls, sentinels, name })
}
