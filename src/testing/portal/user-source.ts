import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { signAnswer, type SignedRequest, signRequest, sourceKeysOf } from '../../identity-source/http/signatures.ts'

export const SOURCE_SECRET = 'a secret of thirty-two characters'

/** A user of the source, as it keeps and sends them. */
export interface KeptUser {
  id: string
  username: string
  email: string
  email_verified: boolean
  status: 'active' | 'disabled'
  roles: string[]
  claims: Record<string, unknown>
  password: string
  hasExpired?: boolean
}

/** A question to the source, which a test may answer in its place. */
export interface Asked {
  path: string
  input: Record<string, unknown>
  request: SignedRequest
  res: ServerResponse
}

/** A service in which users live, over real HTTP. Tests change its users, and how it behaves. */
export interface UserSource {
  url: string
  users: KeptUser[]
  operations: string[]
  /** What it was asked since a test last cleared it. */
  asked: Asked[]
  /** Null to answer well. */
  behave: ((asked: Asked) => unknown) | null
  add(user: Pick<KeptUser, 'username' | 'password'> & Partial<KeptUser>): KeptUser
  reply(asked: Asked, answer: unknown): Promise<void>
  /** Sends events to the portal. */
  tell(portal: string, events: unknown, options?: { secret?: string; now?: Date; nonce?: string }): Promise<Response>
  close(): Promise<void>
}

/** @param clock by which it signs */
export async function startUserSource(clock: () => Date = () => new Date()): Promise<UserSource> {
  const keys = sourceKeysOf(SOURCE_SECRET)
  const server = createServer((req, res) => void serve(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/people`
  const source: UserSource = {
    url,
    users: [],
    operations: [],
    asked: [],
    behave: null,
    add(given) {
      const { username } = given
      const user: KeptUser = {
        id: `u-${randomBytes(6).toString('hex')}`,
        email: `${username}@example.test`,
        email_verified: true,
        status: 'active',
        roles: [],
        claims: {},
        ...given,
      }
      source.users.push(user)
      return user
    },
    async reply({ request, res }, answer) {
      const body = JSON.stringify(answer)
      res.writeHead(200, await signAnswer({ status: 200, body }, request, keys, clock()))
      res.end(body)
    },
    async tell(
      portal,
      events,
      { secret = SOURCE_SECRET, now = clock(), nonce = randomBytes(16).toString('hex') } = {},
    ) {
      const body = typeof events === 'string' ? events : JSON.stringify({ events })
      const request = { method: 'POST', url: `${portal}/api/identity-source/events`, body }
      const headers = await signRequest(request, sourceKeysOf(secret), { now, nonce })
      return fetch(request.url, { method: 'POST', body, headers })
    },
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
  return source

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const request = { method: req.method ?? '', url: new URL(req.url ?? '', url).href, headers: req.headers, body }
    const input = JSON.parse(body.toString()) as Record<string, unknown>
    const asked = { path: (req.url ?? '').replace('/people/', ''), input, request, res }
    source.asked.push(asked)
    if (source.behave === null) await source.reply(asked, answerOf(source, asked, clock()))
    else await source.behave(asked)
  }
}

/** What a source answers that does as it should. */
export function answerOf(source: UserSource, { path, input }: Pick<Asked, 'path' | 'input'>, now: Date): unknown {
  const { users } = source
  const sent = (user: KeptUser | undefined) => {
    if (user === undefined) return { user: null }
    const { password: _, hasExpired: __, ...rest } = user
    return { user: rest }
  }
  const byId = users.find(({ id }) => id === input['id'])
  switch (path) {
    case 'capabilities':
      return {
        protocol: 'gatehouse-identity-source',
        version: 1,
        operations: source.operations,
        time: now.toISOString(),
      }
    case 'find': {
      const login = String(input['login']).toLowerCase()
      return sent(
        users.find(({ username, email }) => login === username.toLowerCase() || login === email.toLowerCase()),
      )
    }
    case 'user':
      return sent(byId)
    case 'statuses': {
      const ids = input['ids'] as string[]
      return { statuses: ids.map((id) => ({ id, status: users.find((user) => user.id === id)?.status ?? 'gone' })) }
    }
    case 'verify-password': {
      const matches = byId !== undefined && byId.password === input['password']
      return { id: input['id'], verdict: !matches ? 'wrong' : byId.hasExpired ? 'expired' : 'matches' }
    }
    case 'create': {
      const { username, email, password } = input as Record<'username' | 'email' | 'password', string>
      if (users.some((user) => user.username === username || user.email === email)) return { result: 'taken' }
      return { result: 'created', ...sent(source.add({ username, email, password, email_verified: false })) }
    }
    case 'set-password':
      if (byId === undefined || String(input['password']).includes('banned'))
        return { id: input['id'], result: 'refused', reason: 'This password is on our list.' }
      byId.password = String(input['password'])
      return { id: byId.id, result: 'changed' }
    default:
      throw new Error(`nothing answers ${path}`)
  }
}
