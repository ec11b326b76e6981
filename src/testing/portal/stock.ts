import { Redis } from 'ioredis'
import pg from 'pg'
import type { TestDatabase } from './databases.ts'

/** How much the stores hold: rows and keys, and their bytes. */
export interface Stock {
  records: number
  bytes: number
}

/** Counts every row of every table, and every Redis key of this database. */
export async function countStock({ databaseUrl, redisUrl }: TestDatabase): Promise<Stock> {
  const [rows, keys] = await Promise.all([countRows(databaseUrl), redisUrl === null ? NOTHING : countKeys(redisUrl)])
  return { records: rows.records + keys.records, bytes: rows.bytes + keys.bytes }
}

const NOTHING: Stock = { records: 0, bytes: 0 }

async function countRows(url: string): Promise<Stock> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    )
    const { rows } = await client.query<Stock>(
      `SELECT sum(records)::int AS records, sum(bytes)::int AS bytes FROM (${tables
        .map(
          ({ name }) => `SELECT count(*) AS records, coalesce(sum(octet_length(t::text)), 0) AS bytes FROM ${name} t`,
        )
        .join(' UNION ALL ')}) AS counted`,
    )
    return rows[0] as Stock
  } finally {
    await client.end()
  }
}

async function countKeys(url: string): Promise<Stock> {
  const prefix = new URL(url).searchParams.get('keyPrefix') as string
  const redis = new Redis(url.replace(/\?.*/, ''))
  try {
    const keys = await redis.keys(`${prefix}*`)
    const kept = await Promise.all(
      keys.map(async (key) => ({ bytes: await redis.strlen(key), ttl: await redis.ttl(key) })),
    )
    if (kept.some(({ ttl }) => ttl < 0)) throw new Error('Redis keeps something for ever')
    return { records: keys.length, bytes: kept.reduce((sum, { bytes }) => sum + bytes, 0) }
  } finally {
    redis.disconnect()
  }
}
