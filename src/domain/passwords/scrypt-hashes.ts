import { scrypt, type ScryptOptions, timingSafeEqual } from 'node:crypto'
import type { ReadHash } from './foreign-hash.ts'
import { base64Of, numberOf, readPhcString } from './phc-strings.ts'

/** What scrypt (RFC 7914) costs: N is 2 to the power of `logN`. */
export interface ScryptCost {
  logN: number
  r: number
  p: number
}

/** In bytes, over all lanes: OWASP's N=2^17, r=8, p=1, which takes half a second or so. */
const MOST_MEMORY = 128 * 1024 * 1024

export function readScryptHash(text: string): ReadHash | null {
  if (!text.startsWith('$scrypt$')) return null
  const phc = readPhcString(text)
  const [logN, r, p] = ['ln', 'r', 'p'].map((name) => (phc === null ? null : numberOf(phc, name)))
  if (phc === null || !logN || !r || !p || phc.parameters.size !== 3 || phc.version !== null)
    return { problem: 'is no complete hash of scrypt ($scrypt$ln=…,r=…,p=…$salt$hash)' }
  const problem = scryptProblem({ logN, r, p })
  if (problem !== null) return { problem }
  const { salt, hash } = phc
  if (salt.length === 0) return { problem: 'has no salt' }
  if (hash.length < 16) return { problem: 'has fewer than 16 bytes of hash' }
  return {
    text: `$scrypt$ln=${logN},r=${r},p=${p}$${base64Of(salt)}$${base64Of(hash)}`,
    matches: async (password) => timingSafeEqual(await deriveScrypt(password, salt, hash.length, { logN, r, p }), hash),
  }
}

/** Why a sign-in cannot bear this; null when it can. */
export function scryptProblem({ logN, r, p }: ScryptCost): string | null {
  const memory = 128 * 2 ** logN * r * p
  return memory > MOST_MEMORY
    ? `has a scrypt cost of N=2^${logN}, r=${r}, p=${p}; a sign-in bears 128 × N × r × p = ${MOST_MEMORY} bytes at most`
    : null
}

export async function deriveScrypt(
  password: string,
  salt: Buffer,
  length: number,
  { logN, r, p }: ScryptCost,
): Promise<Buffer> {
  // Node counts some kilobytes beside the memory proper.
  const options: ScryptOptions = { N: 2 ** logN, r, p, maxmem: 2 * MOST_MEMORY }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, derived) => (error === null ? resolve(derived) : reject(error)))
  })
}
