import { randomUUID } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { hash, verify } from 'argon2'
import { settings } from './settings.ts'

export interface User {
  id: string
  username: string
  email: string
  name: string
  roles: string
  status: 'active' | 'disabled'
  email_verified: number
  password_hash: string
  password_expired: number
}

/** The least that OWASP recommends for Argon2id. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

const db = new DatabaseSync(settings.database, { timeout: 5000 })
db.exec(`
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE COLLATE NOCASE,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name TEXT NOT NULL DEFAULT '',
    roles TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT 'active',
    email_verified INTEGER NOT NULL DEFAULT 0,
    password_hash TEXT NOT NULL,
    password_expired INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
`)
const byLogin = db.prepare('SELECT * FROM users WHERE username = :login OR email = :login')
const byId = db.prepare('SELECT * FROM users WHERE id = ?')
const insert = db.prepare(
  'INSERT INTO users (id, username, email, password_hash) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
)
const replacePassword = db.prepare('UPDATE users SET password_hash = ?, password_expired = 0 WHERE id = ?')
const forgetNonces = db.prepare('DELETE FROM nonces WHERE until < ?')
const rememberNonce = db.prepare('INSERT INTO nonces (nonce, until) VALUES (?, ?) ON CONFLICT DO NOTHING')

export function findByLogin(login: string): User | undefined {
  return byLogin.get({ login }) as User | undefined
}

export function findById(id: string): User | undefined {
  return byId.get(id) as User | undefined
}

// Compared where there is no such user, so that the time does not tell.
const unmatchable = await hash(randomUUID(), COST)

export async function verifyPassword(id: string, password: string): Promise<'matches' | 'wrong' | 'expired'> {
  const user = findById(id)
  const matches = await verify(user?.password_hash ?? unmatchable, password)
  if (user === undefined || !matches) return 'wrong'
  return user.password_expired === 1 ? 'expired' : 'matches'
}

/** Undefined where the user name or the address is taken. The database decides, so that of two at once one gets it. */
export async function create(username: string, email: string, password: string): Promise<User | undefined> {
  const id = randomUUID()
  // An address as a user name, or the other way round, would make `findByLogin` ambiguous.
  if (findByLogin(username) !== undefined || findByLogin(email) !== undefined) return undefined
  const { changes } = insert.run(id, username, email, await hash(password, COST))
  return changes === 1 ? findById(id) : undefined
}

export async function setPassword(id: string, password: string): Promise<boolean> {
  return replacePassword.run(await hash(password, COST), id).changes === 1
}

export function update(id: string, column: 'name' | 'roles' | 'status' | 'password_expired', value: string | number) {
  db.prepare(`UPDATE users SET ${column} = ? WHERE id = ?`).run(value, id)
}

export function remove(id: string): void {
  db.prepare('DELETE FROM users WHERE id = ?').run(id)
}

/** True for the first request with this nonce. It is in the database, because several processes may serve. */
export function isFirstUse(nonce: string, until: Date): boolean {
  forgetNonces.run(Date.now())
  return rememberNonce.run(nonce, until.getTime()).changes === 1
}
