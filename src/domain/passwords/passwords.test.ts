import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import argon2 from 'argon2'
import { ada, grace } from '../../testing/portal/people.ts'
import { characterCount, createPasswordHasher, hashingCores, isPasswordTooLong } from './passwords.ts'

let hasher: ReturnType<typeof open>

before(() => {
  hasher = open()
})

test('a password is kept as argon2id with 19 MiB, two passes and one lane', async () => {
  const hash = await hasher.hash(ada.password)
  assert.match(hash, /^\$argon2id\$v=19\$/)
  assert.deepEqual(new Set(hash.split('$')[3]?.split(',')), new Set(['m=19456', 't=2', 'p=1']))
  assert.notEqual(await hasher.hash(ada.password), hash)
})

test('a hash matches its own password and no other', async () => {
  const hash = await hasher.hash(ada.password)
  assert.equal(await hasher.matches(hash, ada.password), true)
  for (const other of ['', grace.password, `${ada.password} `, ada.password.toUpperCase(), ada.password.slice(0, -1)]) {
    assert.equal(await hasher.matches(hash, other), false, other)
  }
})

test('a long password counts to its last character', async () => {
  const long = 'x'.repeat(199)
  const hash = await hasher.hash(`${long}a`)
  assert.equal(await hasher.matches(hash, `${long}a`), true)
  assert.equal(await hasher.matches(hash, `${long}b`), false)
})

test('a password is the same however a keyboard composes its accents', async () => {
  const hash = await hasher.hash('un mot de passe caché'.normalize('NFC'))
  assert.equal(await hasher.matches(hash, 'un mot de passe caché'.normalize('NFD')), true)
})

test('no password matches without an account', async () => {
  assert.equal(await hasher.matches(null, ada.password), false)
  assert.equal(await hasher.matches(null, ''), false)
})

test('no password matches an account without one, at the usual cost, and no two such accounts look alike', async () => {
  const hash = hasher.unusable()
  for (const password of [ada.password, '', hash]) assert.equal(await hasher.matches(hash, password), false)
  assert.equal(hasher.needsRehash(hash), false)
  assert.notEqual(hasher.unusable(), hash)
})

// No account enumeration; `npm run bench -- enumeration` compares the times.
test('checking a password without an account takes as long as with one (no account enumeration)', async (context) => {
  const hash = await hasher.hash(ada.password)
  const verify = context.mock.method(argon2, 'verify')
  for (const known of [hash, null]) await hasher.matches(known, grace.password)
  const costs = verify.mock.calls.map(({ arguments: [digest] }) => costOf(digest))
  assert.equal(costs.length, 2)
  assert.deepEqual(costs[1], costs[0])
})

test('a hash of weaker parameters is to be made anew, one of ours is not', async () => {
  const weaker = { type: argon2.argon2id, memoryCost: 8192, timeCost: 2, parallelism: 1 } as const
  assert.equal(hasher.needsRehash(await argon2.hash(ada.password, weaker)), true)
  assert.equal(
    hasher.needsRehash(await argon2.hash(ada.password, { ...weaker, memoryCost: 19_456, timeCost: 1 })),
    true,
  )
  assert.equal(hasher.needsRehash(await hasher.hash(ada.password)), false)
  assert.equal(await hasher.matches(await argon2.hash(ada.password, weaker), ada.password), true)
})

test('all processes together leave one core to the apps, and hash one password each at the least', () => {
  const shares = [
    [1, 1],
    [1, 2],
    [2, 2],
    [1, 4],
    [2, 8],
    [8, 8],
    [1, 64],
  ].map(([processes, cores]) => hashingCores(processes as number, cores))
  assert.deepEqual(shares, [1, 1, 1, 3, 3, 1, 3])
})

test('characters are counted as a person sees them written, up to two hundred', () => {
  for (const password of ['é'.normalize('NFC'), 'é'.normalize('NFD'), 'e', ' ', '🦊', '象'])
    assert.equal(characterCount(password), 1, password)
  for (const letter of ['x', '🦊', 'é'.normalize('NFD')]) {
    assert.deepEqual(
      [200, 201].map((length) => isPasswordTooLong(letter.repeat(length))),
      [false, true],
    )
  }
})

/** The parameters of a hash, and how long it is. */
function costOf(digest: string) {
  const [, algorithm, version, parameters, salt, hash] = digest.split('$')
  return { algorithm, version, parameters: parameters?.split(',').toSorted(), lengths: [salt?.length, hash?.length] }
}

/** For a single source, which waits for nothing but itself. */
function open() {
  const { hash, matches, needsRehash, unusable } = createPasswordHasher()
  return {
    hash: (password: string) => hash(password, 'home'),
    matches: (known: string | null, password: string) => matches(known, password, 'home'),
    needsRehash,
    unusable,
  }
}
