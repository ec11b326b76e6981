import assert from 'node:assert/strict'
import { verify } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { compactVerify, importSPKI } from 'jose'
import { createLogger } from '../../logger.ts'
import { migrate } from '../../storage/migrations.ts'
import { listSigningKeys, type SigningKeyRow } from '../../storage/signing-keys.ts'
import { openStorage, type Storage } from '../../storage/storage.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { deriveSecrets } from './secrets.ts'
import {
  KeyRing,
  LONGEST_TOKEN,
  SIGNING_ALGS,
  signInBackground,
  type SigningKey,
  signWith,
  verifiesWith,
} from './signing-keys.ts'

const OLD = 'the old root secret, of 32 bytes or more'
const NEW = 'the new root secret, of 32 bytes or more'

let database: TestDatabase
let storage: Storage
let otherStorage: Storage
let clock: TestClock

before(async () => {
  database = await createDatabase()
  await migrate(database.databaseUrl)
  const options = {
    ...database,
    migrationUrl: null,
    dataDir: '/nowhere',
    storeTimeoutMs: 15_000,
    logger: createLogger('silent'),
    clock: () => clock(),
  }
  storage = await openStorage(options)
  otherStorage = await openStorage(options)
})
beforeEach(async () => {
  clock = createClock()
  await storage.pool.query('TRUNCATE signing_keys')
})
after(async () => {
  await storage.close()
  await otherStorage.close()
  await database.drop()
})

const openRing = async (roots: readonly [string, ...string[]] = [OLD], stores = storage) =>
  KeyRing.open(stores, deriveSecrets(roots), clock)

test('a new portal has one key for each algorithm, which signs at once', async () => {
  const ring = await openRing()
  assert.deepEqual(
    ring.published().map(({ alg }) => alg),
    ['ES256', 'RS256', 'EdDSA'],
  )
  assert.equal(ring.signer('ES256').kid, ring.published()[0]?.kid)
  assert.equal(publishedKey(ring, ring.signer('RS256').kid)?.alg, 'RS256')
  assert.equal(publishedKey(ring, 'unknown'), null)
})

test('processes that make the first keys at once agree on one set', async () => {
  const rings = await Promise.all([openRing([OLD], storage), openRing([OLD], otherStorage)])
  assert.equal(new Set(rings.map((ring) => ring.signer('ES256').kid)).size, 1)
  assert.equal(new Set(rings.map((ring) => ring.signer('RS256').kid)).size, 1)
  assert.equal(await (await storage.prisma()).signingKey.count(), 3)
})

test('a portal from before an algorithm gets a key for it at its next start, and keeps those it has', async () => {
  const first = (await openRing()).published().map(({ kid }) => kid)
  await (await storage.prisma()).signingKey.deleteMany({ where: { alg: 'RS256' } })
  const ring = await openRing()
  const kids = ring.published().map(({ kid }) => kid)
  assert.deepEqual([kids[0], kids[2]], [first[0], first[2]])
  assert.notEqual(kids[1], first[1])
  assert.equal(ring.signer('RS256').signsFrom.getTime(), clock().getTime())
  assert.deepEqual(
    (await openRing()).published().map(({ kid }) => kid),
    kids,
  )
})

test('a process whose clock is a little behind signs with the first keys all the same', async () => {
  await openRing()
  clock.advance(-2)
  const behind = await openRing([OLD], otherStorage)
  assert.equal(behind.signer('ES256').alg, 'ES256')
})

test('the next key is published before it signs, for as long as clients may cache the JWKS', async () => {
  const ring = await openRing()
  const first = ring.signer('ES256').kid
  const next = (await ring.rotate()).find(({ alg }) => alg === 'ES256')?.kid as string
  assert.equal(ring.signer('ES256').kid, first)
  assert.notEqual(publishedKey(ring, next), null)
  clock.advance(899)
  assert.equal(ring.signer('ES256').kid, first)
  clock.advance(1)
  assert.equal(ring.signer('ES256').kid, next)
  assert.equal(ring.published()[0]?.kid, next)
})

const DAY = 86_400
const PERIOD = 90 * DAY

async function counts(): Promise<Record<string, number>> {
  const states = (await (await openRing()).list(PERIOD)).map(({ state }) => state)
  return Object.fromEntries(['next', 'signing'].map((state) => [state, states.filter((each) => each === state).length]))
}

test('the keys are rotated as scheduled, once, however many processes try, and sign exactly a period apart', async () => {
  const rings = [await openRing(), await openRing([OLD], otherStorage)]
  const [ring] = rings as [KeyRing]
  const made = ring.signer('RS256')
  const rotatesAt = new Date(made.signsFrom.getTime() + (PERIOD - 900) * 1000)
  assert.deepEqual(
    (await ring.list(PERIOD)).map((key) => Math.round(((key.rotatesAt?.getTime() ?? 0) - rotatesAt.getTime()) / 1000)),
    [0, 0, 0],
  )
  clock.advance(PERIOD - 901)
  assert.deepEqual(await ring.rotateWhenDue(PERIOD), [])
  clock.advance(1)
  const tries = await Promise.all(Array.from({ length: 10 }, async (_, each) => rings[each % 2]?.rotateWhenDue(PERIOD)))
  assert.deepEqual(tries.map((kids) => kids?.length).toSorted(), [0, 0, 0, 0, 0, 0, 0, 0, 0, 3])
  assert.deepEqual(await counts(), { next: 3, signing: 3 })
  const { rows } = await storage.pool.query("SELECT actor FROM audit_events WHERE kind = 'signing_keys_rotated'")
  assert.deepEqual(rows.at(-1), { actor: null })

  clock.advance(899)
  assert.equal(ring.signer('RS256').kid, made.kid)
  clock.advance(1)
  const next = ring.signer('RS256')
  assert.notEqual(next.kid, made.kid)
  assert.equal(next.signsFrom.getTime() - made.signsFrom.getTime(), PERIOD * 1000)
  // The keys and the tokens of the old ones are over; the schedule goes on from the new ones.
  clock.advance(PERIOD - 901)
  assert.deepEqual(await ring.rotateWhenDue(PERIOD), [])
  clock.advance(1)
  assert.equal((await ring.rotateWhenDue(PERIOD)).length, 3)
})

test('a rotation by hand counts: nothing else is published before its keys have signed for the period', async () => {
  const ring = await openRing()
  clock.advance(PERIOD - 8 * DAY)
  await ring.rotate(null, new Date(clock().getTime() + 8 * DAY * 1000 - 60_000))
  clock.advance(8 * DAY - 900)
  assert.deepEqual(await ring.rotateWhenDue(PERIOD), [])
  clock.advance(1000)
  assert.deepEqual([await ring.rotateWhenDue(PERIOD), await counts()], [[], { next: 0, signing: 3 }])
  // Keys for a far future do not make those of today sign for longer.
  await ring.rotate(null, new Date(clock().getTime() + 300 * DAY * 1000))
  clock.advance(PERIOD)
  assert.equal((await ring.rotateWhenDue(PERIOD)).length, 3)
})

test('a key that was replaced alone joins the others again, and a revoked one is not waited for', async () => {
  const ring = await openRing()
  clock.advance(3 * DAY)
  await ring.revoke(ring.signer('ES256').kid)
  clock.advance(PERIOD - 3 * DAY)
  const published = await ring.rotateWhenDue(PERIOD)
  assert.equal(published.length, 3)
  await ring.revoke(published[0] as string)
  assert.deepEqual([await ring.rotateWhenDue(PERIOD), await counts()], [[], { next: 3, signing: 3 }])
})

test('a portal that was stopped for a year publishes first and signs later', async () => {
  const stopped = (await openRing()).signer('ES256').kid
  clock.advance(365 * DAY)
  const ring = await openRing()
  const published = await ring.rotateWhenDue(PERIOD)
  assert.equal(published.length, 3)
  assert.equal(ring.signer('ES256').kid, stopped)
  clock.advance(899)
  await ring.reload()
  assert.deepEqual([ring.signer('ES256').kid, await ring.rotateWhenDue(PERIOD)], [stopped, []])
  clock.advance(1)
  assert.ok(published.includes(ring.signer('ES256').kid))
  assert.notEqual(publishedKey(ring, stopped), null)
})

test('a replaced key stays published until the last token it signed has expired, then it can sign no more', async () => {
  const ring = await openRing()
  const first = ring.signer('ES256').kid
  await ring.rotate()
  clock.advance(900 + LONGEST_TOKEN - 1)
  assert.notEqual(publishedKey(ring, first), null)
  await ring.reload()
  assert.equal(await (await storage.prisma()).signingKey.count(), 6)
  clock.advance(1)
  assert.equal(publishedKey(ring, first), null)
  await ring.reload()
  assert.deepEqual(
    await wholeKeys(),
    ring
      .published()
      .map(({ kid }) => kid)
      .toSorted(),
  )
  assert.notEqual(ring.signer('ES256').kid, first)
})

for (const alg of SIGNING_ALGS) {
  test(`what a replaced ${alg} key has signed can be told from anything else as long as a sign-in may last`, async () => {
    const ring = await openRing()
    const first = ring.signer(alg)
    const signature = signWith(first, 'data')
    await ring.rotate()
    clock.advance(900 + LONGEST_TOKEN)
    await ring.reload()
    clock.advance(400 * 86_400 - LONGEST_TOKEN - 1)
    // Those who come later know it, too, and so do those who have erased its private half themselves.
    for (const each of [ring, await openRing([NEW, OLD], otherStorage)]) {
      await each.reload()
      const key = each.remembered().find(({ kid }) => kid === first.kid)
      assert.ok(key && !('privateKey' in key))
      assert.equal(key.alg, alg)
      assert.equal(verifiesWith(key, 'data', signature), true)
      assert.equal(verifiesWith(key, 'other', signature), false)
      assert.equal(publishedKey(each, first.kid), null)
    }
    clock.advance(1)
    await ring.reload()
    await ring.reload()
    assert.equal(
      ring.remembered().some(({ kid }) => kid === first.kid),
      false,
    )
    assert.equal(await (await storage.prisma()).signingKey.count(), 3)
  })
}

for (const alg of ['ES256', 'RS256'] as const) {
  test(`a revoked ${alg} key is gone from every ring that reads again, and another signs at once`, async () => {
    const [ring, other] = [await openRing(), await openRing([OLD], otherStorage)]
    const { kid } = ring.signer(alg)
    const revocation = await ring.revoke(kid, { name: 'root', id: null, address: null })
    assert.equal(revocation.kind, 'revoked')
    await other.reload()
    for (const each of [ring, other, await openRing()]) {
      assert.equal(each.signer(alg).kid, revocation.replacement)
      assert.equal(each.signer(alg).signsFrom.getTime(), clock().getTime())
      assert.equal(publishedKey(each, kid), null)
      assert.equal(
        each.remembered().some((key) => key.kid === kid),
        false,
      )
      assert.ok(each.revoked().includes(kid))
      assert.equal(each.published().length, SIGNING_ALGS.length)
    }
    assert.deepEqual(await ring.revoke(kid), { kind: 'revoked-before' })
    assert.deepEqual(await ring.revoke('nobody'), { kind: 'unknown' })
    const { rows } = await storage.pool.query('SELECT kind, detail, actor FROM audit_events ORDER BY id DESC LIMIT 1')
    assert.deepEqual(rows, [{ kind: 'signing_key_revoked', detail: kid, actor: 'root' }])
  })
}

test('of two operators that revoke a key at once one does, and every key in turn leaves the algorithm a signer', async () => {
  const [ring, other] = [await openRing(), await openRing([OLD], otherStorage)]
  const [next] = (await ring.rotate()).filter(({ alg }) => alg === 'ES256')
  await other.reload()
  const first = ring.signer('ES256').kid
  const kinds = await Promise.all([ring.revoke(first), other.revoke(first)])
  assert.deepEqual(kinds.map(({ kind }) => kind).toSorted(), ['revoked', 'revoked-before'])

  // The next key is replaced by another next one, which is published before it signs.
  const revocation = await ring.revoke(next?.kid as string)
  assert.equal(revocation.kind, 'revoked')
  assert.equal(revocation.signsFrom?.getTime(), clock().getTime() + 900_000)
  const signers = new Set<string>()
  for (let count = 0; count < 3; count++) {
    const { kid } = ring.signer('ES256')
    signers.add(kid)
    await ring.revoke(kid)
  }
  assert.equal(signers.size, 3)
})

test('a key that signs no more is revoked without a replacement', async () => {
  const ring = await openRing()
  const { kid } = ring.signer('ES256')
  await ring.rotate()
  clock.advance(901)
  await ring.reload()
  assert.deepEqual(await ring.revoke(kid), { kind: 'revoked', replacement: null, signsFrom: null })
  assert.equal(publishedKey(ring, kid), null)
  assert.equal(ring.published().length, 2 * SIGNING_ALGS.length - 1)
})

async function wholeKeys(): Promise<string[]> {
  const rows = await listSigningKeys(storage.pool)
  return rows
    .filter(({ encryptedPrivate }) => encryptedPrivate !== '')
    .map(({ kid }) => kid)
    .toSorted()
}

test('two rotations in a row leave a key that signs at every moment', async () => {
  const ring = await openRing()
  await ring.rotate()
  clock.advance(60)
  await ring.rotate()
  for (let minute = 0; minute < 100; minute++) {
    const signer = ring.signer('ES256')
    assert.ok(signer.signsFrom <= clock())
    assert.notEqual(publishedKey(ring, signer.kid), null)
    clock.advance(60)
    await ring.reload()
  }
  assert.equal((await wholeKeys()).length, 3)
})

test('another process knows the next key once it has looked, before it signs', async () => {
  const here = await openRing()
  const there = await openRing([OLD], otherStorage)
  const next = (await here.rotate())[0]?.kid as string
  assert.equal(publishedKey(there, next), null)
  await there.reload()
  assert.notEqual(publishedKey(there, next), null)
  clock.advance(900)
  assert.equal(there.signer('ES256').kid, here.signer('ES256').kid)
})

test('the database holds no private key in clear', async () => {
  const ring = await openRing()
  const result = await storage.pool.query<{ row: string }>('SELECT k::text AS row FROM signing_keys k')
  const dump = result.rows.map(({ row }) => row).join('\n')
  assert.equal(dump.includes('PRIVATE KEY'), false)
  for (const { privateKey } of ring.published()) {
    const { d } = privateKey.export({ format: 'jwk' })
    assert.equal(dump.includes(d as string), false)
  }
})

test('an older secret opens the keys, which are then encrypted under the new one', async () => {
  const kid = (await openRing([OLD])).signer('ES256').kid
  assert.equal((await openRing([NEW, OLD])).signer('ES256').kid, kid)
  assert.equal((await openRing([NEW])).signer('ES256').kid, kid)
})

test('a secret that does not open the keys is refused in words that say what to do', async () => {
  await openRing([OLD])
  await assert.rejects(openRing([NEW]), (error: Error) => {
    assert.match(error.message, /^GATEHOUSE_SECRET does not open the signing keys in this database: put the secret/)
    assert.equal(error.message.includes(NEW), false)
    return true
  })
  assert.equal(await (await storage.prisma()).signingKey.count(), 3)
})

test('a portal from before an algorithm gets a key for it at its next start, and keeps those it has', async () => {
  const first = (await openRing()).published().map(({ kid }) => kid)
  await (await storage.prisma()).signingKey.deleteMany({ where: { alg: 'RS256' } })
  const ring = await openRing()
  const kids = ring.published().map(({ kid }) => kid)
  assert.deepEqual([kids[0], kids[2]], [first[0], first[2]])
  assert.notEqual(kids[1], first[1])
  assert.equal(ring.signer('RS256').signsFrom.getTime(), clock().getTime())
  assert.deepEqual(
    (await openRing()).published().map(({ kid }) => kid),
    kids,
  )
})

test('a key that was swapped for another, or tampered with, is refused', async () => {
  await openRing()
  const [one, two] = (await (await storage.prisma()).signingKey.findMany()) as [SigningKeyRow, SigningKeyRow]
  const put = async (encryptedPrivate: string) =>
    (await storage.prisma()).signingKey.update({ where: { kid: one.kid }, data: { encryptedPrivate } })
  await put(two.encryptedPrivate)
  await assert.rejects(openRing(), /does not open/)
  const bytes = two.encryptedPrivate.split('.')
  await put([bytes[0], bytes[1], `A${bytes[2]?.slice(1)}`].join('.'))
  await assert.rejects(openRing(), /does not open/)
})

test('ES256 signatures are 64 raw bytes that verify, whatever the length of their two numbers', async () => {
  const key = (await openRing()).signer('ES256')
  let short = 0
  for (let count = 0; count < 3000; count++) {
    const signature = signWith(key, `message ${count}`)
    assert.equal(signature.length, 64)
    assert.equal(holds(key, `message ${count}`, signature), true, `message ${count}`)
    assert.equal(verifiesWith(key, `message ${count}`, signature), true, `message ${count}`)
    if (signature[0] === 0 || signature[32] === 0) short++
  }
  // About one in 128 has a number that needs fewer than 32 bytes.
  assert.ok(short > 0)
})

test('bytes that are no signature verify nothing', async () => {
  const key = (await openRing()).signer('ES256')
  const good = signWith(key, 'a message')
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(64),
    Buffer.alloc(64, 0xff),
    good.subarray(1),
    Buffer.concat([good, Buffer.of(0)]),
    Buffer.concat([Buffer.alloc(32), good.subarray(32)]),
    Buffer.concat([good.subarray(32), good.subarray(0, 32)]),
  ])
    assert.equal(verifiesWith(key, 'a message', bytes), false, bytes.toString('hex'))
  assert.equal(verifiesWith(key, 'another message', good), false)
})

for (const alg of SIGNING_ALGS) {
  test(`a ${alg} signature is what any library expects`, async () => {
    const key = (await openRing()).signer(alg)
    const encode = (text: string) => Buffer.from(text).toString('base64url')
    const input = `${encode(JSON.stringify({ alg }))}.${encode('a payload')}`
    const jws = `${input}.${signWith(key, input).toString('base64url')}`
    const spki = key.publicKey.export({ format: 'pem', type: 'spki' }).toString()
    const { payload } = await compactVerify(jws, await importSPKI(spki, alg), { algorithms: [alg] })
    assert.equal(Buffer.from(payload).toString(), 'a payload')
    assert.deepEqual(signWith(key, Buffer.from(input)).length, signWith(key, input).length)
    assert.equal(verifiesWith(key, input, await signInBackground(key, input)), true)
  })
}

test('the keys are strong enough', async () => {
  const ring = await openRing()
  assert.equal(ring.signer('ES256').publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  assert.equal(ring.signer('RS256').publicKey.asymmetricKeyDetails?.modulusLength, 2048)
})

function holds({ publicKey }: SigningKey, message: string, signature: Buffer): boolean {
  return verify('sha256', Buffer.from(message), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
}

function publishedKey(ring: KeyRing, kid: string): SigningKey | null {
  return ring.published().find((key) => key.kid === kid) ?? null
}
