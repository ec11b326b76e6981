import { createCipheriv, pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto'
import argon2 from 'argon2'
import bcrypt from 'bcrypt'

/** A password and its hash, as one of five systems makes it. */
export interface ForeignPassword {
  kind: string
  password: string
  hash: string
}

type Hasher = (password: string) => Promise<string>

/** With the parameters that the systems have had for years. */
const HASHERS: Record<string, Hasher> = {
  bcrypt: async (password) => bcrypt.hash(password, 10),
  argon2i: async (password) =>
    argon2.hash(password, { type: argon2.argon2i, memoryCost: 4096, timeCost: 10, parallelism: 1 }),
  pbkdf2: async (password) => {
    const salt = randomBytes(16)
    const hash = pbkdf2Sync(password, salt, 27_500, 64, 'sha256')
    return `$pbkdf2-sha256$i=27500$${salt.toString('base64')}$${hash.toString('base64')}`
  },
  scrypt: async (password) => {
    const salt = randomBytes(16)
    return `$scrypt$ln=14,r=8,p=1$${plain(salt)}$${plain(scryptSync(password, salt, 64))}`
  },
  'firebase-scrypt': async (password) => {
    const salt = randomBytes(10)
    const key = scryptSync(password, Buffer.concat([salt, Buffer.from('Bw==', 'base64')]), 32)
    const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
    const hash = cipher.update(SIGNER_KEY)
    return `$firebase-scrypt$ln=14,r=8,ss=Bw,sk=${plain(SIGNER_KEY)}$${plain(salt)}$${plain(hash)}`
  },
}

const SIGNER_KEY = randomBytes(64)

function plain(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

/** So many passwords of each kind, in turns. */
export async function makePasswords(ofEachKind: number): Promise<ForeignPassword[]> {
  const passwords: ForeignPassword[] = []
  for (let number = 0; number < ofEachKind; number++)
    for (const [kind, hasher] of Object.entries(HASHERS)) {
      const password = `what they had before, ${number}`
      passwords.push({ kind, password, hash: await hasher(password) })
    }
  return passwords
}

/** A person of the crowd: people share the passwords, because hashes are slow to make. */
export function personAt(number: number, passwords: ForeignPassword[]): { username: string } & ForeignPassword {
  return { username: `moved${number}`, ...(passwords[number % passwords.length] as ForeignPassword) }
}

/** The people as lines of JSON, in pieces. */
export function* linesOf(people: number, passwords: ForeignPassword[]): Generator<string> {
  let piece = ''
  for (let number = 0; number < people; number++) {
    const { username, hash } = personAt(number, passwords)
    piece += `${JSON.stringify({
      username,
      email: `${username}@example.test`,
      email_verified: true,
      name: `Person ${number}`,
      roles: ['member'],
      groups: [`Team ${number % 20}`],
      attributes: { department: `department ${number % 7}` },
      password_hash: hash,
    })}\n`
    if (piece.length > 500_000) {
      yield piece
      piece = ''
    }
  }
  yield piece
}
