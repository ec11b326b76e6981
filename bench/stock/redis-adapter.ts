import type { Redis } from 'ioredis'
import type { Adapter, AdapterPayload } from 'oidc-provider'

const CONSUMABLE = new Set(['AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest'])
const GRANTABLE = new Set(['AccessToken', ...CONSUMABLE])

/** As in the library's example adapter for Redis. */
export class RedisAdapter implements Adapter {
  readonly #redis: Redis
  readonly #type: string

  constructor(redis: Redis, type: string) {
    this.#redis = redis
    this.#type = type
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const key = this.#keyOf(id)
    const multi = this.#redis.multi()
    if (CONSUMABLE.has(this.#type)) multi.hset(key, { payload: JSON.stringify(payload) })
    else multi.set(key, JSON.stringify(payload))
    if (expiresIn !== undefined) multi.expire(key, expiresIn)

    if (GRANTABLE.has(this.#type) && payload.grantId !== undefined) {
      const grantKey = grantKeyOf(payload.grantId)
      multi.rpush(grantKey, key)
      const ttl = await this.#redis.ttl(grantKey)
      if (expiresIn !== undefined && expiresIn > ttl) multi.expire(grantKey, expiresIn)
    }
    for (const pointer of [payload.userCode && userCodeKeyOf(payload.userCode), payload.uid && uidKeyOf(payload.uid)]) {
      if (pointer === undefined || pointer === '') continue
      multi.set(pointer, id)
      if (expiresIn !== undefined) multi.expire(pointer, expiresIn)
    }
    await multi.exec()
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    if (!CONSUMABLE.has(this.#type)) {
      const value = await this.#redis.get(this.#keyOf(id))
      return value === null ? undefined : (JSON.parse(value) as AdapterPayload)
    }
    const { payload, ...rest } = await this.#redis.hgetall(this.#keyOf(id))
    return payload === undefined ? undefined : { ...rest, ...(JSON.parse(payload) as AdapterPayload) }
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#follow(uidKeyOf(uid))
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#follow(userCodeKeyOf(userCode))
  }

  async consume(id: string): Promise<void> {
    await this.#redis.hset(this.#keyOf(id), 'consumed', Math.floor(Date.now() / 1000))
  }

  async destroy(id: string): Promise<void> {
    await this.#redis.del(this.#keyOf(id))
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    const multi = this.#redis.multi()
    const keys = await this.#redis.lrange(grantKeyOf(grantId), 0, -1)
    for (const key of keys) multi.del(key)
    multi.del(grantKeyOf(grantId))
    await multi.exec()
  }

  async #follow(pointer: string): Promise<AdapterPayload | undefined> {
    const id = await this.#redis.get(pointer)
    return id === null ? undefined : this.find(id)
  }

  #keyOf(id: string): string {
    return `oidc:${this.#type}:${id}`
  }
}

function grantKeyOf(id: string): string {
  return `oidc:grant:${id}`
}

function userCodeKeyOf(code: string): string {
  return `oidc:userCode:${code}`
}

function uidKeyOf(uid: string): string {
  return `oidc:uid:${uid}`
}
