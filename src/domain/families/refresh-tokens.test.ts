import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import {
  descendantOf,
  hashRefreshToken,
  mintRefreshToken,
  parseRefreshToken,
  type RefreshToken,
  successorOf,
} from './refresh-tokens.ts'
import { deriveSecrets, type Secrets } from '../keys/secrets.ts'

const secrets = deriveSecrets(['the first root secret of these tests'])
const others = deriveSecrets(['the other root secret of these tests'])
const thirds = deriveSecrets(['a third root secret of these tests!!'])
const both: Secrets = [secrets[0], others[0]]
const familyId = randomUUID()
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

test('a new token names its family, at generation 0', () => {
  const token = parse(mintRefreshToken(familyId, secrets))
  assert.equal(token.familyId, familyId)
  assert.equal(token.generation, 0)
  assert.equal(token.random.length, 32)
})

test('two tokens of one family have nothing random in common', () => {
  const [one, two] = [mintRefreshToken(familyId, secrets), mintRefreshToken(familyId, secrets)]
  assert.notEqual(one, two)
  assert.notDeepEqual(parse(one).random, parse(two).random)
})

test('a token is 91 characters that need no escaping anywhere', () => {
  assert.match(mintRefreshToken(familyId, secrets), /^[A-Za-z0-9_-]{91}$/)
})

test('every family id there can be survives the way through a token', () => {
  for (const id of ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', randomUUID()]) {
    assert.equal(parse(mintRefreshToken(id, secrets)).familyId, id)
  }
})

test('every process with the key computes the same successor of a token', () => {
  const token = parse(mintRefreshToken(familyId, secrets))
  assert.equal(successorOf(token, secrets[0]), successorOf(token, secrets[0]))
  assert.equal(
    successorOf(token, deriveSecrets(['the first root secret of these tests'])[0]),
    successorOf(token, secrets[0]),
  )
})

test('a chain of successors counts its generations and never repeats itself', () => {
  let token = parse(mintRefreshToken(familyId, secrets))
  const seen = new Set<string>()
  for (let generation = 1; generation <= 500; generation++) {
    const value = successorOf(token, secrets[0])
    token = parse(value)
    assert.equal(token.generation, generation)
    assert.equal(token.familyId, familyId)
    seen.add(token.random.toString('hex'))
  }
  assert.equal(seen.size, 500)
})

/** The tokens after this one, each made with the keys of this many steps. */
function chainOf(first: string, steps: [Secrets, number][]): string[] {
  const tokens = [first]
  for (const [made, count] of steps) {
    for (let step = 0; step < count; step++) {
      const last = parseRefreshToken(tokens.at(-1) as string, [...made, ...secrets, ...others, ...thirds])
      tokens.push(successorOf(last as RefreshToken, made[0]))
    }
  }
  return tokens
}

for (const [what, steps] of [
  ['one step', [[secrets, 1]]],
  ['64 steps', [[secrets, 64]]],
  [
    'a change of secret after the first step',
    [
      [others, 1],
      [secrets, 62],
    ],
  ],
  [
    'a change of secret before the last step',
    [
      [others, 62],
      [secrets, 1],
    ],
  ],
  [
    'a change of secret in the middle',
    [
      [others, 30],
      [secrets, 33],
    ],
  ],
  [
    'processes that disagree on the order of the secrets',
    [
      [others, 1],
      [secrets, 2],
      [others, 1],
      [secrets, 1],
      [others, 1],
    ],
  ],
] satisfies [string, [Secrets, number][]][]) {
  test(`any ancestor leads to the current token: ${what}`, () => {
    const tokens = chainOf(mintRefreshToken(familyId, others), steps)
    const current = tokens.at(-1) as string
    for (const [generation, token] of tokens.slice(0, -1).entries()) {
      if (generation % 13 > 0) continue
      const parsed = parseRefreshToken(token, both) as RefreshToken
      const found = descendantOf(parsed, tokens.length - 1 - generation, hashRefreshToken(current), both)
      assert.equal(found, current)
    }
  })
}

test('no token is answered that the hash does not prove', () => {
  const tokens = chainOf(mintRefreshToken(familyId, secrets), [[secrets, 3]])
  const [first, , , last] = tokens as [string, string, string, string]
  const ancestor = parse(first)
  assert.equal(descendantOf(ancestor, 2, hashRefreshToken(last), secrets), null)
  assert.equal(descendantOf(ancestor, 4, hashRefreshToken(last), secrets), null)
  assert.equal(descendantOf(ancestor, 3, hashRefreshToken(first), secrets), null)
  const lost = chainOf(first, [[thirds, 64]]).at(-1) as string
  assert.equal(descendantOf(ancestor, 64, hashRefreshToken(lost), both), null)
})

test('without the key a token does not tell its successor, without the token the key does not either', () => {
  const token = parse(mintRefreshToken(familyId, secrets))
  const successor = parse(successorOf(token, secrets[0])).random
  assert.notDeepEqual(parse(successorOf(token, others[0]), others).random, successor)
  assert.notDeepEqual(parse(successorOf({ ...token, random: randomBytes(32) }, secrets[0])).random, successor)
})

test('a token is known under any of the secrets and its successor is of the first', () => {
  const old = mintRefreshToken(familyId, others)
  assert.equal(parseRefreshToken(old, secrets), null)
  const both = [...secrets, ...others] as const
  const token = parse(old, both)
  const successor = successorOf(token, both[0])
  assert.notEqual(parseRefreshToken(successor, secrets), null)
  assert.equal(parseRefreshToken(successor, others), null)
})

test('a token with one flipped bit is refused', () => {
  const bytes = Buffer.from(mintRefreshToken(familyId, secrets), 'base64url')
  assert.equal(bytes.length, 68)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const forged = Buffer.from(bytes)
    forged[bit >> 3] = (forged[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.equal(parseRefreshToken(forged.toString('base64url'), secrets), null, `bit ${bit}`)
  }
})

test('a token with one other character is refused', () => {
  const token = mintRefreshToken(familyId, secrets)
  for (let place = 0; place < token.length; place++) {
    for (const character of `${ALPHABET}+/=. \0é`) {
      if (character === token[place]) continue
      const forged = token.slice(0, place) + character + token.slice(place + 1)
      assert.equal(parseRefreshToken(forged, secrets), null, `${character} at ${place}`)
    }
  }
})

test('a token has one spelling: what decodes to the same bytes is not the same token', () => {
  const token = mintRefreshToken(familyId, secrets)
  const bytes = Buffer.from(token, 'base64url')
  const spellings = [
    `${token}=`,
    `${token}==`,
    ` ${token}`,
    `${token}\n`,
    bytes.toString('base64'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
    `${token.slice(0, 45)}\n${token.slice(45)}`,
    `${token.slice(0, 45)} ${token.slice(46)}`,
    encodeURIComponent(`${token}=`),
  ].filter((spelling) => spelling !== token)
  for (const spelling of spellings) assert.equal(parseRefreshToken(spelling, secrets), null, JSON.stringify(spelling))
})

test('only 68 bytes are a token, however they are tagged', () => {
  const token = mintRefreshToken(familyId, secrets)
  const bytes = Buffer.from(token, 'base64url')
  for (const length of [0, 1, 15, 16, 20, 52, 67]) {
    assert.equal(parseRefreshToken(bytes.subarray(0, length).toString('base64url'), secrets), null)
  }
  assert.equal(parseRefreshToken(Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url'), secrets), null)
  for (const value of ['', 'x', token.slice(1), token.slice(0, -1), token + token, 'A'.repeat(91), 'A'.repeat(1e6)]) {
    assert.equal(parseRefreshToken(value, secrets), null)
  }
})

test('parts of two genuine tokens make no third', () => {
  const [one, two] = [mintRefreshToken(familyId, secrets), mintRefreshToken(randomUUID(), secrets)].map((token) =>
    Buffer.from(token, 'base64url'),
  ) as [Buffer, Buffer]
  for (const cut of [16, 20, 52]) {
    const forged = Buffer.concat([one.subarray(0, cut), two.subarray(cut)])
    assert.equal(parseRefreshToken(forged.toString('base64url'), secrets), null, `cut at ${cut}`)
  }
})

test('what the row keeps of a token is a hash of all of it', () => {
  const token = mintRefreshToken(familyId, secrets)
  assert.equal(hashRefreshToken(token).length, 32)
  assert.deepEqual(hashRefreshToken(token), hashRefreshToken(token))
  assert.notDeepEqual(hashRefreshToken(token), hashRefreshToken(mintRefreshToken(familyId, secrets)))
})

test('each purpose has a key of its own', () => {
  const [keys] = secrets
  const exported = [keys.refreshTokenTag, keys.refreshTokenSuccessor, keys.signingKeyEncryption].map((key) =>
    key.export().toString('base64url'),
  )
  assert.equal(new Set([...exported, keys.cookies]).size, 4)
})

function parse(value: string, keys = secrets): RefreshToken {
  const token = parseRefreshToken(value, keys)
  assert.notEqual(token, null)
  return token as RefreshToken
}
