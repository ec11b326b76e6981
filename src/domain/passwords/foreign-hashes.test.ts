import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readForeignHash } from './foreign-hashes.ts'
import { createPasswordHasher, examineHash } from './passwords.ts'

/** Made by other programs: the name says which. */
const VECTORS: [maker: string, password: string, hash: string][] = [
  ['htpasswd', 'pleaseletmein', '$2y$06$9ZwhQQ7mOSvgI.NAZvTHwOBgVrjmpDjJt5BpmhI6Rrn/13Rm9yAdm'],
  ['Passlib', 'password', '$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2'],
  ['Passlib', 'password', '$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44'],
  [
    'hashlib',
    'pleaseletmein',
    '$pbkdf2-sha1$i=4096,l=64$AQIDBAUGBwgJCgsMDQ4PEA$FJhPpOdJ2c7fzG0yAWvpefrzYt5NPG9/wioRoOYX28K1Fj5nbO/ImPqgOyBHBO7ewQkQA7IsbDrhZrAucdcRiw',
  ],
  [
    'hashlib',
    'pleaseletmein',
    '$pbkdf2-sha512$i=1000$AQIDBAUGBwgJCgsMDQ4PEA$Ee7yfPj8b4dAmVOAetmpSlTjNYd4Kmwy45MmuRLDmm1mvCjpgMpbZXQy0YxSvXQdOcIRiudFZH39+EhB24R5zw==',
  ],
  [
    'hashlib',
    'pleaseletmein',
    '$scrypt$ln=15,r=8,p=2$AQIDBAUGBwgJCgsMDQ4PEA$s/mlTS85TMhrYqznZSs8BvmwOk3km164clbr20EghrU',
  ],
  [
    'the reference',
    'password',
    '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA',
  ],
  ['the reference', 'password', '$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ'],
  [
    'Google',
    'user1password',
    '$firebase-scrypt$ln=14,r=8,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
  ],
]

test('hashes of other programs match their passwords and no others, also as they are stored, and are to be replaced', async () => {
  const hasher = createPasswordHasher({ atOnce: 2 }, { memoryCost: 1024, timeCost: 2 }, assert.fail)
  for (const [maker, password, hash] of VECTORS) {
    const examined = examineHash(hash)
    const stored = 'text' in examined ? examined.text : assert.fail(`${maker}: ${examined.problem}`)
    const again = examineHash(stored)
    assert.equal('text' in again && again.text, stored)
    assert.equal(await hasher.matches(stored, password, 'home'), true, hash)
    for (const other of [`${password} `, password.toUpperCase(), ''])
      assert.equal(await hasher.matches(stored, other, 'home'), false, `${hash} ${other}`)
    assert.equal(hasher.needsRehash(stored), true)
  }
})

test('a password that was hashed as it was typed matches in either form, and bcrypt counts 72 bytes of it', async () => {
  const hasher = createPasswordHasher({}, { memoryCost: 1024, timeCost: 2 })
  const typed = '$pbkdf2-sha256$i=1000$AQIDBAUGBwgJCgsMDQ4PEA$K1c+fx5IMh0AWv6dXaitxocRIr53aT4XSvErB53RBqU'
  const password = 'caché, très caché'.normalize('NFD')
  assert.equal(await hasher.matches(typed, password, 'home'), true)
  assert.equal(await hasher.matches(typed, password.toUpperCase(), 'home'), false)
  const { default: bcrypt } = await import('bcrypt')
  const long = await bcrypt.hash('x'.repeat(72), 4)
  assert.equal(await hasher.matches(long, 'x'.repeat(80), 'home'), true)
  assert.equal(await hasher.matches(long, 'x'.repeat(71), 'home'), false)
})

const SALT = 'AQIDBAUGBwgJCgsMDQ4PEA'
const HASH = 's/mlTS85TMhrYqznZSs8BvmwOk3km164clbr20EghrU'

test('hashes that cost too much, are malformed or guessed quickly are refused by name', () => {
  for (const [hash, problem] of [
    ['$2b$15$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', /bcrypt cost of 15/],
    ['$2b$03$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', /bcrypt cost of 3/],
    ['$2x$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', /\$2x\$/],
    ['$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhW', /no complete hash of bcrypt/],
    [`$pbkdf2-sha256$i=2000001$${SALT}$${HASH}`, /2000001 iterations/],
    [`$pbkdf2-sha256$i=4294967296000$${SALT}$${HASH}`, /no complete hash of PBKDF2/],
    [`$pbkdf2-sha256$i=0$${SALT}$${HASH}`, /no complete hash of PBKDF2/],
    [`$pbkdf2-md5$i=1000$${SALT}$${HASH}`, /PBKDF2 with md5/],
    [`$pbkdf2-__proto__$i=1000$${SALT}$${HASH}`, /is no hash/],
    [`$pbkdf2-sha256$i=1000$$${HASH}`, /has no salt/],
    [`$pbkdf2-sha256$i=1000$${SALT}$AQ`, /fewer than 16 bytes/],
    [`$pbkdf2-sha256$i=1000$${SALT}$`, /fewer than 16 bytes/],
    [`$scrypt$ln=18,r=8,p=1$${SALT}$${HASH}`, /scrypt cost of N=2\^18, r=8, p=1/],
    [`$scrypt$ln=14,r=8,p=4294967295$${SALT}$${HASH}`, /scrypt cost/],
    [`$scrypt$ln=14.5,r=8,p=1$${SALT}$${HASH}`, /no complete hash of scrypt/],
    [`$scrypt$ln=14,ln=1,r=8,p=1$${SALT}$${HASH}`, /no complete hash of scrypt/],
    [`$scrypt$ln=14,r=8,p=1$${SALT}$${'A'.repeat(400)}`, /no complete hash of scrypt/],
    [`$argon2id$v=19$m=262144,t=1,p=1$${SALT}$${HASH}`, /Argon2 cost of m=262144/],
    [`$argon2id$v=19$m=65536,t=1000,p=1$${SALT}$${HASH}`, /Argon2 cost/],
    [`$argon2id$v=19$m=65536,t=2,p=200$${SALT}$${HASH}`, /Argon2 cost/],
    [`$argon2id$v=19$m=4,t=2,p=1$${SALT}$${HASH}`, /less memory than its lanes/],
    [`$argon2id$v=18$m=65536,t=2,p=1$${SALT}$${HASH}`, /version 18/],
    [`$argon2id$v=19$m=65536,t=2,p=1,keyid=AA$${SALT}$${HASH}`, /no complete hash of Argon2/],
    [`$firebase-scrypt$ln=14,r=8,ss=Bw,sk=AQ$${SALT}$AQ`, /signer key/],
    [`$firebase-scrypt$ln=25,r=8,ss=Bw,sk=${HASH}$${SALT}$${HASH}`, /scrypt cost/],
    ['5f4dcc3b5aa765d61d8327deb882cf99', /fast hash/],
    ['{SSHA}AbCdEf==', /fast hash/],
    ['$6$salt$hash', /fast hash/],
    ['', /is empty/],
    ['hunter2', /is no hash/],
    [`$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${HASH}\n`, /no complete|no hash/],
  ] as const) {
    const found = readForeignHash(hash)
    assert.match('problem' in found ? found.problem : 'taken', problem, hash)
  }
})

test('a stored hash that cannot be checked matches nothing, at the usual cost, and is logged without the hash', async (context) => {
  const { default: argon2 } = await import('argon2')
  const errors: Error[] = []
  const hasher = createPasswordHasher({}, { memoryCost: 1024, timeCost: 2 }, (error) => errors.push(error))
  const verify = context.mock.method(argon2, 'verify')
  for (const hash of ['', 'garbage', '$2b$31$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'])
    assert.equal(await hasher.matches(hash, 'x', 'home'), false)
  assert.equal(verify.mock.callCount(), 3)
  assert.equal(errors.length, 3)
  assert.ok(errors.every(({ message }) => !message.includes('garbage') && !message.includes('N9qo8')))
})
