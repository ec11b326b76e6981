import { createHash } from 'node:crypto'
import type { Queryable } from './postgres.ts'
import type { RedisClient } from './redis.ts'

/**
 * A short-lived protocol record: authorization code, interaction, pushed authorization request (PAR), replay mark (DPoP `jti`,
 * WebAuthn challenge), the protocol library's session. The table is called `handshakes`.
 */
export interface ProtocolRecord {
  payload: Record<string, unknown>
  consumed: boolean
}

/**
 * Ids are secrets (a code, a cookie), so only their hashes are stored. Payloads are JSON in text.
 * Both stores behave the same; one suite of tests runs over both.
 */
export interface ProtocolRecords {
  put(kind: string, id: string, payload: object, ttlSeconds: number, uid?: string): Promise<void>
  /** True for the one caller that put this id first. */
  putOnce(kind: string, id: string, payload: object, ttlSeconds: number): Promise<boolean>
  find(kind: string, id: string): Promise<ProtocolRecord | null>
  findByUid(kind: string, uid: string): Promise<ProtocolRecord | null>
  /** True for the one call that consumed a living record, however many race. */
  consume(kind: string, id: string): Promise<boolean>
  delete(kind: string, id: string): Promise<void>
  /** Deletes up to `limit` expired records and returns how many; a store that expires them by itself returns 0. */
  prune(limit: number): Promise<number>
}

export function postgresProtocolRecords(db: Queryable, clock: () => Date): ProtocolRecords {
  const expiry = (ttlSeconds: number) => new Date(clock().getTime() + ttlSeconds * 1000)

  return {
    async put(kind, id, payload, ttlSeconds, uid) {
      await db.query({
        name: 'handshake-put',
        text: `INSERT INTO handshakes (id, payload, uid, expires_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (id) DO UPDATE SET payload = EXCLUDED.payload, uid = EXCLUDED.uid, expires_at = EXCLUDED.expires_at,
                 consumed_at = CASE WHEN handshakes.expires_at > $5 THEN handshakes.consumed_at END`,
        values: [
          recordKeyOf(kind, id),
          JSON.stringify(payload),
          uid === undefined ? null : recordKeyOf(kind, uid),
          expiry(ttlSeconds),
          clock(),
        ],
      })
    },
    async putOnce(kind, id, payload, ttlSeconds) {
      const result = await db.query({
        name: 'handshake-put-once',
        text: `INSERT INTO handshakes (id, payload, expires_at) VALUES ($1, $2, $3)
               ON CONFLICT (id) DO UPDATE SET payload = EXCLUDED.payload, expires_at = EXCLUDED.expires_at, consumed_at = NULL
               WHERE handshakes.expires_at <= $4`,
        values: [recordKeyOf(kind, id), JSON.stringify(payload), expiry(ttlSeconds), clock()],
      })
      return result.rowCount === 1
    },
    async find(kind, id) {
      const result = await db.query<Row>({
        name: 'handshake-find',
        text: 'SELECT payload, consumed_at FROM handshakes WHERE id = $1 AND expires_at > $2',
        values: [recordKeyOf(kind, id), clock()],
      })
      return fromRow(result.rows[0])
    },
    async findByUid(kind, uid) {
      const result = await db.query<Row>({
        name: 'handshake-find-by-uid',
        text: 'SELECT payload, consumed_at FROM handshakes WHERE uid = $1 AND expires_at > $2',
        values: [recordKeyOf(kind, uid), clock()],
      })
      return fromRow(result.rows[0])
    },
    async consume(kind, id) {
      const result = await db.query({
        name: 'handshake-consume',
        text: 'UPDATE handshakes SET consumed_at = $2 WHERE id = $1 AND consumed_at IS NULL AND expires_at > $2',
        values: [recordKeyOf(kind, id), clock()],
      })
      return result.rowCount === 1
    },
    async delete(kind, id) {
      await db.query({
        name: 'handshake-delete',
        text: 'DELETE FROM handshakes WHERE id = $1',
        values: [recordKeyOf(kind, id)],
      })
    },
    async prune(limit) {
      // Like `deleteEndedFamilies`: always by the index, and without waiting for another process.
      const result = await db.query(
        `DELETE FROM handshakes WHERE id = ANY (
           ARRAY(SELECT id FROM handshakes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
        [clock(), limit],
      )
      return result.rowCount ?? 0
    },
  }
}

export function redisProtocolRecords(redis: RedisClient): ProtocolRecords {
  return {
    async put(kind, id, payload, ttlSeconds, uid) {
      const record = recordOf(kind, id)
      const seconds = Math.max(1, ttlSeconds)
      await Promise.all([
        redis.set(record, JSON.stringify(payload), 'EX', seconds),
        redis.expire(`${record}:consumed`, seconds),
      ])
      if (uid !== undefined) await redis.set(`gatehouse:uid:${recordKeyOf(kind, uid)}`, record, 'EX', seconds)
    },
    async putOnce(kind, id, payload, ttlSeconds) {
      return (
        (await redis.set(recordOf(kind, id), JSON.stringify(payload), 'EX', Math.max(1, ttlSeconds), 'NX')) === 'OK'
      )
    },
    async find(kind, id) {
      return read(redis, recordOf(kind, id))
    },
    async findByUid(kind, uid) {
      const record = await redis.get(`gatehouse:uid:${recordKeyOf(kind, uid)}`)
      return record === null ? null : read(redis, record)
    },
    async consume(kind, id) {
      const record = recordOf(kind, id)
      return (await redis.eval(CONSUME, 2, record, `${record}:consumed`)) === 1
    },
    async delete(kind, id) {
      const record = recordOf(kind, id)
      await redis.del(record, `${record}:consumed`)
    },
    async prune() {
      return 0
    },
  }
}

interface Row {
  payload: string
  consumed_at: Date | null
}

function fromRow(row: Row | undefined): ProtocolRecord | null {
  return row === undefined ? null : { payload: JSON.parse(row.payload), consumed: row.consumed_at !== null }
}

async function read(redis: RedisClient, record: string): Promise<ProtocolRecord | null> {
  const [payload, consumed] = await redis.mget(record, `${record}:consumed`)
  return payload === null || payload === undefined
    ? null
    : { payload: JSON.parse(payload), consumed: consumed !== null }
}

// The mark lives as long as its record, so a code stays used for as long as it could be presented.
const CONSUME = `local ttl = redis.call('PTTL', KEYS[1])
if ttl <= 0 then return 0 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ttl) then return 1 end
return 0`

/** Braces put a record and its mark on one node of a Cluster. */
function recordOf(kind: string, id: string): string {
  return `gatehouse:handshake:{${recordKeyOf(kind, id)}}`
}

/** The hash under which the stores keep an id. */
export function recordKeyOf(kind: string, id: string): string {
  return `${kind}:${createHash('sha256').update(id).digest('base64url')}`
}
