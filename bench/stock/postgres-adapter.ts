import type { Adapter, AdapterPayload } from 'oidc-provider'
import type pg from 'pg'

interface Row {
  payload: AdapterPayload
  consumed_at: Date | null
}

/** As in the library's example adapters: every model in one table, plain queries. */
export class PostgresAdapter implements Adapter {
  readonly #pool: pg.Pool
  readonly #type: string

  constructor(pool: pg.Pool, type: string) {
    this.#pool = pool
    this.#type = type
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    await this.#pool.query(
      `INSERT INTO oidc_payloads (id, type, payload, grant_id, user_code, uid, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (id, type) DO UPDATE SET payload = EXCLUDED.payload, grant_id = EXCLUDED.grant_id,
         user_code = EXCLUDED.user_code, uid = EXCLUDED.uid, expires_at = EXCLUDED.expires_at`,
      [
        id,
        this.#type,
        payload,
        payload.grantId ?? null,
        payload.userCode ?? null,
        payload.uid ?? null,
        expiresIn === undefined ? null : new Date(Date.now() + expiresIn * 1000),
      ],
    )
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return this.#findBy('id', id)
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#findBy('uid', uid)
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#findBy('user_code', userCode)
  }

  async consume(id: string): Promise<void> {
    await this.#pool.query('UPDATE oidc_payloads SET consumed_at = now() WHERE id = $1 AND type = $2', [id, this.#type])
  }

  async destroy(id: string): Promise<void> {
    await this.#pool.query('DELETE FROM oidc_payloads WHERE id = $1 AND type = $2', [id, this.#type])
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.#pool.query('DELETE FROM oidc_payloads WHERE grant_id = $1 AND type = $2', [grantId, this.#type])
  }

  async #findBy(column: 'id' | 'uid' | 'user_code', value: string): Promise<AdapterPayload | undefined> {
    const { rows } = await this.#pool.query<Row>(
      `SELECT payload, consumed_at FROM oidc_payloads
       WHERE ${column} = $1 AND type = $2 AND (expires_at IS NULL OR expires_at > now())`,
      [value, this.#type],
    )
    const row = rows[0]
    return row && { ...row.payload, ...(row.consumed_at === null ? {} : { consumed: true }) }
  }
}
