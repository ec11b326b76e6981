import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SessionData } from 'express-session'
import { addSeconds } from '../../src/domain/time.ts'
import { insertAuditEvents } from '../../src/storage/audit.ts'
import { insertIdentitySession } from '../../src/storage/identity-sessions.ts'
import { transaction } from '../../src/storage/postgres.ts'
import { type Floor, redirect } from './request.ts'

/** One look-up, one password hash, one transaction, one record for the cookie. */
export async function signIn(
  { services }: Floor,
  req: IncomingMessage,
  res: ServerResponse,
  form: URLSearchParams,
): Promise<void> {
  const { pool, browserSessions } = services.storage
  const { rows } = await pool.query<{ id: string; hash: string }>({
    name: 'floor-identity',
    text: 'SELECT id, password_hash AS hash FROM identities WHERE username_key = $1 AND disabled_at IS NULL',
    values: [form.get('login')],
  })
  const identity = rows[0]
  const matches = await services.hasher.matches(identity?.hash ?? null, form.get('password') ?? '', 'bench')
  if (!matches || identity === undefined) return void res.writeHead(401, { 'Content-Length': 0 }).end()

  const now = services.clock()
  const expiresAt = addSeconds(now, services.lifetimes.identitySessionMax)
  const place = { browser: req.headers['user-agent'] ?? '', address: req.socket.remoteAddress ?? '' }
  const id = randomUUID()
  await transaction(pool, async (db) => {
    const times = { createdAt: now, lastSeenAt: now, expiresAt, reviewAt: expiresAt }
    const session = { id, identityId: identity.id, amr: ['pwd'], deviceHash: null, clientId: null, ...times, ...place }
    await insertIdentitySession(db, session, { passwordMark: null, signOuts: null })
    await insertAuditEvents(db, [{ kind: 'signed_in', identityId: identity.id, ...place }], now)
  })

  const sid = randomBytes(24).toString('base64url')
  const cookie = { originalMaxAge: services.lifetimes.identitySessionMax * 1000, expires: expiresAt }
  const record: SessionData = { cookie, identitySessionId: id }
  await new Promise<void>((resolve, reject) => {
    browserSessions.set(sid, record, (error?: unknown) =>
      error ? reject(new Error('no browser sessions', { cause: error })) : resolve(),
    )
  })
  redirect(res, '/dashboard', { 'Set-Cookie': `identity=${sid}; Path=/; HttpOnly; SameSite=Lax` })
}
