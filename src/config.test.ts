import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { type Config, ConfigError, isLoopback, readConfig } from './config.ts'
import { makeTemporaryFolder, type TemporaryFolder } from './testing/services/temporary-folder.ts'

const DAY = 86_400
const SECRET = 'one root secret of more than 32 bytes'
const OTHER = 'two root secret of more than 32 bytes'
const NO_SECONDS = 'must be a whole number of seconds, or of another unit, as in 15m, 12h or 90d'
const PRODUCTION = { NODE_ENV: 'production', PUBLIC_URL: 'https://id.example.test', GATEHOUSE_SECRET: SECRET }

let root: TemporaryFolder
before(async () => {
  root = await makeTemporaryFolder('config')
})
after(() => root.remove())

test('in development nothing needs to be set', () => {
  const config = readConfig({ DATA_DIR: join(root.path, 'plain') })
  const { secrets, ...rest } = config
  assert.equal(secrets.length, 1)
  assert.deepEqual(rest, {
    production: false,
    development: true,
    host: '127.0.0.1',
    port: 3000,
    publicUrl: 'http://localhost:3000',
    databaseUrl: null,
    migrationUrl: null,
    redisUrl: null,
    storeTimeoutMs: 1500,
    preparedStatements: true,
    dataDir: join(root.path, 'plain'),
    trustProxy: false,
    certHeader: null,
    verifyHeader: null,
    keepAliveTimeout: 620,
    hstsIncludeSubdomains: false,
    allowedNetworks: ['127.0.0.0/8', '::1/128'],
    workers: 1,
    inProcessWorker: true,
    logLevel: 'info',
    auditStream: 'off',
    auditWebhook: null,
    metricsToken: null,
    metricsPort: null,
    lifetimes: {
      applicationToken: 300,
      familyIdle: 30 * DAY,
      familyMax: 90 * DAY,
      familyHistory: 90 * DAY,
      rotationGrace: 30,
      rotationGraceProven: 7 * DAY,
      identitySessionIdle: 14 * DAY,
      identitySessionMax: 90 * DAY,
      freshSignIn: 600,
      adminSignIn: 3600,
      deletionGrace: 14 * DAY,
      auditRetention: null,
    },
    smtpUrl: null,
    mailFolder: join(root.path, 'plain/outbox'),
    mailFrom: 'Gatehouse <no-reply@localhost>',
    policy: {
      registration: 'open',
      emailVerification: 'optional',
      familyLifetime: 'browser',
      familyRenewal: 'never',
      passwordLength: 15,
      passwordLengthWithSecondFactor: 8,
      passwordRangeUrl: null,
      loginAttemptsBeforeDelay: 5,
      loginDelayMin: 1,
      loginDelayMax: 900,
      ipBlockAfter: 100,
      ipBlockDuration: 900,
      registrationsPerHour: 60,
      mailSignIn: false,
      relatedOrigins: [],
      securityContacts: [],
      securityPolicyUrl: null,
      defaultLocale: 'en',
      trustedBrowserDays: 30,
      geoipDatabase: null,
      keyRotation: 7_776_000,
    },
    brand: {
      name: 'Gatehouse',
      logo: null,
      accent: null,
      styleFile: null,
      viewsDir: null,
      supportUrl: null,
      privacyUrl: null,
      termsUrl: null,
      termsVersion: null,
    },
    identitySource: null,
  } satisfies Omit<Config, 'secrets'>)
})

for (const [variable, value, read, expected] of [
  ['NODE_ENV', 'test', (config) => config.production, false],
  ['HOST', '0.0.0.0', (config) => config.host, '0.0.0.0'],
  ['PORT', '0', (config) => config.port, 0],
  ['PORT', '65535', (config) => config.port, 65_535],
  ['PORT', '8080', (config) => config.publicUrl, 'http://localhost:8080'],
  ['PUBLIC_URL', 'https://id.example.test/', (config) => config.publicUrl, 'https://id.example.test'],
  ['PUBLIC_URL', 'https://id.example.test:443', (config) => config.publicUrl, 'https://id.example.test'],
  ['PUBLIC_URL', 'HTTPS://ID.Example.Test', (config) => config.publicUrl, 'https://id.example.test'],
  ['PUBLIC_URL', 'http://localhost:3000', (config) => config.publicUrl, 'http://localhost:3000'],
  ['GATEHOUSE_SECRET', `${SECRET}, ${OTHER}`, (config) => config.secrets, [SECRET, OTHER]],
  ['MAIL_SIGN_IN', 'true', (config) => config.policy.mailSignIn, true],
  [
    'WEBAUTHN_RELATED_ORIGINS',
    'https://example.org/, HTTPS://Example.net:443,',
    (config) => config.policy.relatedOrigins,
    ['https://example.org', 'https://example.net'],
  ],
  [
    'SECURITY_CONTACT',
    'security@example.com, https://example.com/report,tel:+1-201-555-0123',
    (config) => config.policy.securityContacts,
    ['mailto:security@example.com', 'https://example.com/report', 'tel:+1-201-555-0123'],
  ],
  [
    'SECURITY_POLICY_URL',
    'https://example.com/security',
    (config) => config.policy.securityPolicyUrl,
    'https://example.com/security',
  ],
  ['DATABASE_URL', 'postgresql://u:p@h/d', (config) => config.databaseUrl, 'postgresql://u:p@h/d'],
  [
    'DATABASE_URL',
    'postgres://u:p@h/d?sslmode=verify-full',
    (config) => config.databaseUrl?.slice(0, 11),
    'postgres://',
  ],
  ['REDIS_URL', 'redis://h:6379/1', (config) => config.redisUrl, 'redis://h:6379/1'],
  ['REDIS_URL', 'rediss://h', (config) => config.redisUrl, 'rediss://h'],
  ['DATA_DIR', '/var/lib/portal', (config) => config.dataDir, '/var/lib/portal'],
  ['DATA_DIR', './somewhere', (config) => config.dataDir, join(process.cwd(), 'somewhere')],
  ['TRUST_PROXY', 'true', (config) => config.trustProxy, true],
  ['TRUST_PROXY', 'false', (config) => config.trustProxy, false],
  ['TRUST_PROXY', '2', (config) => config.trustProxy, 2],
  ['TRUST_PROXY', 'loopback, 10.0.0.0/8', (config) => config.trustProxy, 'loopback, 10.0.0.0/8'],
  ['PREPARED_STATEMENTS', 'off', (config) => config.preparedStatements, false],
  ['KEEP_ALIVE_TIMEOUT', '75', (config) => config.keepAliveTimeout, 75],
  ['HSTS_INCLUDE_SUBDOMAINS', 'true', (config) => config.hstsIncludeSubdomains, true],
  ['ALLOWED_NETWORKS', '10.0.0.0/8', (config) => config.allowedNetworks, ['10.0.0.0/8']],
  ['ALLOWED_NETWORKS', '10.1.2.3/32, fd00::/8', (config) => config.allowedNetworks, ['10.1.2.3/32', 'fd00::/8']],
  ['WORKERS', '4', (config) => config.workers, 4],
  ['WORKERS', 'auto', (config) => config.workers, availableParallelism()],
  ['LOG_LEVEL', 'silent', (config) => config.logLevel, 'silent'],
  ['ORGANISATION_NAME', ' Example Ltd ', (config) => config.brand.name, 'Example Ltd'],
  ['ORGANISATION_NAME', 'Example Ltd', (config) => config.mailFrom, 'Example Ltd <no-reply@localhost>'],
  ['ORGANISATION_NAME', 'Ex: "A", <B>', (config) => config.mailFrom, '"Ex: \\"A\\", <B>" <no-reply@localhost>'],
  ['LOGO_FILE', './public/favicon.svg', (config) => config.brand.logo?.type, 'image/svg+xml'],
  ['ACCENT_COLOR', '#1D4ED8', (config) => config.brand.accent?.light.accent, '#1d4ed8'],
  ['ACCENT_COLOR', '#15d', (config) => config.brand.accent?.light.accent, '#1155dd'],
  [
    'SUPPORT_URL',
    'https://help.example.test/a?b',
    (config) => config.brand.supportUrl,
    'https://help.example.test/a?b',
  ],
  ['SUPPORT_URL', 'mailto:help@example.test', (config) => config.brand.supportUrl, 'mailto:help@example.test'],
  ['PRIVACY_URL', 'https://example.test/privacy', (config) => config.brand.privacyUrl, 'https://example.test/privacy'],
  ['TERMS_URL', 'https://example.test/terms', (config) => config.brand.termsUrl, 'https://example.test/terms'],
  ['APPLICATION_TOKEN_TTL', '3600', (config) => config.lifetimes.applicationToken, 3600],
  ['APPLICATION_TOKEN_TTL', '5m', (config) => config.lifetimes.applicationToken, 300],
  ['FAMILY_IDLE', '36h', (config) => config.lifetimes.familyIdle, 129_600],
  ['FAMILY_MAX', '90d', (config) => config.lifetimes.familyMax, 90 * DAY],
  ['KEY_ROTATION', '1h', (config) => config.policy.keyRotation, 3600],
  ['KEY_ROTATION', 'off', (config) => config.policy.keyRotation, null],
  ['FAMILY_IDLE', '10', (config) => config.lifetimes.familyIdle, 10],
  ['FAMILY_MAX', '315360000', (config) => config.lifetimes.familyMax, 315_360_000],
  ['FAMILY_HISTORY', '3600', (config) => config.lifetimes.familyHistory, 3600],
  ['FAMILY_HISTORY', '315360000', (config) => config.lifetimes.familyHistory, 315_360_000],
  ['ROTATION_GRACE', '0', (config) => config.lifetimes.rotationGrace, 0],
  ['ROTATION_GRACE', '300', (config) => config.lifetimes.rotationGrace, 300],
  ['ROTATION_GRACE', '0', (config) => config.lifetimes.rotationGraceProven, 0],
  ['ROTATION_GRACE_PROVEN', '0', (config) => config.lifetimes.rotationGraceProven, 0],
  ['ROTATION_GRACE_PROVEN', '7776000', (config) => config.lifetimes.rotationGraceProven, 90 * DAY],
  ['IDENTITY_SESSION_IDLE', '3600', (config) => config.lifetimes.identitySessionIdle, 3600],
  ['IDENTITY_SESSION_MAX', '7200', (config) => config.lifetimes.identitySessionMax, 7200],
] satisfies [string, string, (config: Config) => unknown, unknown][]) {
  test(`${variable}=${value} is taken`, () => {
    assert.deepEqual(read(readConfig({ NODE_ENV: 'test', GATEHOUSE_SECRET: SECRET, [variable]: value })), expected)
  })
}

for (const [variable, value] of [
  ['SMTP_URL', 'smtp://user:password@mail.example.test:587'],
  ['SMTP_URL', 'smtps://mail.example.test'],
  ['MAIL_FROM', 'Gatehouse <id@example.test>'],
  ['REDIS_URL', 'redis+sentinel://u:p@one:26379,two:26379/mymaster'],
  ['REDIS_URL', 'redis+cluster://one:6379,two:6379'],
  ['REDIS_URL', 'redis+cluster://one:6379,redis+cluster://two:6379'],
] as const) {
  test(`${variable} may be ${value}`, () => {
    assert.doesNotThrow(() => readConfig({ GATEHOUSE_SECRET: SECRET, [variable]: value }))
  })
}

for (const [variable, value, fault] of [
  ['NODE_ENV', 'Production', 'must be production, development or test'],
  ['NODE_ENV', 'staging', 'must be production, development or test'],
  ['PORT', 'http', 'must be a port number'],
  ['PORT', '65536', 'must be a port number'],
  ['PORT', '-1', 'must be a port number'],
  ['PORT', '80.5', 'must be a port number'],
  ['PUBLIC_URL', 'id.example.test', 'must be a URL that begins with https:// or http://'],
  ['PUBLIC_URL', 'ftp://id.example.test', 'must be a URL that begins with https:// or http://'],
  ['PUBLIC_URL', 'https://id.example.test/portal', 'must be an origin: scheme, host and port, without a path'],
  ['PUBLIC_URL', 'https://id.example.test/?x', 'must be an origin: scheme, host and port, without a path'],
  ['PUBLIC_URL', 'https://ada@id.example.test', 'must be an origin: scheme, host and port, without a path'],
  ['PUBLIC_URL', 'https://:word@id.example.test', 'must be an origin: scheme, host and port, without a path'],
  ['GATEHOUSE_SECRET', 'short and 31 bytes in length ..', 'each secret must have at least 32 bytes'],
  ['GATEHOUSE_SECRET', `${SECRET},short`, 'each secret must have at least 32 bytes'],
  ['GATEHOUSE_SECRET', `${SECRET},`, 'each secret must have at least 32 bytes'],
  ['GATEHOUSE_SECRET', 'x'.repeat(64), 'must be random: try `openssl rand -base64 48`'],
  ['DATABASE_URL', 'mysql://h/d', 'must be a URL that begins with postgresql:// or postgres://'],
  ['DATABASE_URL', 'host=h', 'must be a URL that begins with postgresql:// or postgres://'],
  ['REDIS_URL', 'localhost:6379', 'must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://'],
  [
    'REDIS_URL',
    'redis+cluster://one,http://two',
    'must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://',
  ],
  ['REDIS_URL', 'http://h', 'must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://'],
  [
    'WEBAUTHN_RELATED_ORIGINS',
    'https://example.org,http://example.net',
    'must be origins that begin with https://, without a path, or with android:apk-key-hash:, with commas between',
  ],
  [
    'WEBAUTHN_RELATED_ORIGINS',
    'https://example.org/app',
    'must be origins that begin with https://, without a path, or with android:apk-key-hash:, with commas between',
  ],
  [
    'SECURITY_CONTACT',
    'http://example.com/report',
    'must be e-mail addresses or URLs that begin with https://, mailto: or tel:, with commas between',
  ],
  [
    'SECURITY_CONTACT',
    'us',
    'must be e-mail addresses or URLs that begin with https://, mailto: or tel:, with commas between',
  ],
  ['SECURITY_POLICY_URL', 'http://example.com', 'must be a URL that begins with https://'],
  ['PASSWORD_RANGE_URL', 'ftp://range.example.test', 'must be a URL that begins with https:// or http://'],
  ['PASSWORD_RANGE_URL', 'https://:word@range.example.test', 'must be a URL without a user name'],
  ['SMTP_URL', 'https://mail.example.test', 'must be a URL that begins with smtp:// or smtps://'],
  ['TRUST_PROXY', 'everybody', 'must be true, false, a number of proxies, or their addresses'],
  ['TRUST_PROXY', '10.0.0.0/99', 'must be true, false, a number of proxies, or their addresses'],
  ...['10.0.0.0', 'localhost', '10.0.0.0/33', 'fd00::/129', '10.0.0/8', '10.0.0.0/8,', '10.0.0.0/8 fd00::/8'].map(
    (value) =>
      ['ALLOWED_NETWORKS', value, 'must be networks like 10.0.0.0/8 or fd00::/8, with commas between'] as const,
  ),
  ['WORKERS', '0', 'must be a number of processes or auto'],
  ['WORKERS', 'many', 'must be a number of processes or auto'],
  ['LOG_LEVEL', 'loud', 'must be fatal, error, warn, info, debug, trace or silent'],
  ['ORGANISATION_NAME', ' ', 'must be one line of text'],
  ['ORGANISATION_NAME', 'Example\nBcc: x', 'must be one line of text'],
  ['ORGANISATION_NAME', 'Example \u202Edtl', 'must not contain bidirectional control characters'],
  ['ORGANISATION_NAME', 'x'.repeat(61), 'must not be longer than 60 characters'],
  ['LOGO_FILE', './nowhere.svg', 'the file cannot be read'],
  ['LOGO_FILE', './public', 'the file cannot be read'],
  ['STYLE_FILE', './nowhere.css', 'the file cannot be read'],
  ['VIEWS_DIR', './nowhere', 'the folder cannot be read'],
  ['VIEWS_DIR', './package.json', 'the folder cannot be read'],
  [
    'ACCENT_COLOR',
    '#ff0',
    'is too light: as text on the light pages it has a contrast of 1.0:1, and 4.5:1 is needed; the nearest colour that would do is #707000',
  ],
  ...['blue', '#12', '#1234567', 'rgb(1 2 3)', '#xyzxyz'].map(
    (value) => ['ACCENT_COLOR', value, 'must be a colour of three or six hexadecimal digits, such as #1d4ed8'] as const,
  ),
  ...['javascript:alert(1)', 'example.test', 'mailto:', 'mailto:a@b?bcc=c@d', 'https://a:b@example.test'].map(
    (value) => ['SUPPORT_URL', value, 'must be a URL that begins with https://, http:// or mailto:'] as const,
  ),
  ['PRIVACY_URL', 'javascript:alert(1)', 'must be a URL that begins with https:// or http://'],
  ['TERMS_URL', 'https://ada@example.test/terms', 'must be a URL without a user name'],
  ['APPLICATION_TOKEN_TTL', '5 m', NO_SECONDS],
  ['APPLICATION_TOKEN_TTL', '9', 'must be between 10 and 3600 seconds'],
  ['APPLICATION_TOKEN_TTL', '3601', 'must be between 10 and 3600 seconds'],
  ['FAMILY_IDLE', '-1', NO_SECONDS],
  ['FAMILY_IDLE', '9', 'must be between 10 and 315360000 seconds'],
  ['FAMILY_MAX', '315360001', 'must be between 10 and 315360000 seconds'],
  ['FAMILY_HISTORY', '90D', NO_SECONDS],
  ['FAMILY_HISTORY', '3599', 'must be between 3600 and 315360000 seconds'],
  ['FAMILY_HISTORY', '315360001', 'must be between 3600 and 315360000 seconds'],
  ['ROTATION_GRACE', '6m', 'must be between 0 and 300 seconds'],
  ['KEY_ROTATION', '90', 'must be between 3600 and 31536000 seconds; or off'],
  ['KEY_ROTATION', 'never', `${NO_SECONDS}; or off`],
  ['ROTATION_GRACE', '301', 'must be between 0 and 300 seconds'],
  ['ROTATION_GRACE', '1e2', NO_SECONDS],
  ['ROTATION_GRACE_PROVEN', '7776001', 'must be between 0 and 7776000 seconds'],
  ['ROTATION_GRACE_PROVEN', '-1', NO_SECONDS],
  ['IDENTITY_SESSION_IDLE', '9', 'must be between 10 and 34560000 seconds'],
  ['IDENTITY_SESSION_MAX', '34560001', 'must be between 10 and 34560000 seconds'],
] as const) {
  test(`${variable}=${value.slice(0, 40)} is refused`, () => {
    const [headline, ...lines] = refusal({ GATEHOUSE_SECRET: SECRET, [variable]: value }).split('\n')
    assert.match(headline as string, /^Gatehouse cannot start: (one setting is|some settings are) wrong\.$/)
    assert.ok(lines.includes(`  ${variable}: ${fault}`), lines.join('\n'))
    assert.deepEqual(
      lines.filter((line) => !line.startsWith(`  ${variable}: `)),
      [],
    )
  })
}

test('every fault is in one message, one a line, and no value is', () => {
  const env = {
    NODE_ENV: 'v-env',
    PORT: 'v-port',
    PUBLIC_URL: 'v-url',
    GATEHOUSE_SECRET: 'v-secret',
    DATABASE_URL: 'v-database',
    REDIS_URL: 'v-redis',
    SMTP_URL: 'v-smtp',
    MAIL_FROM: 'v',
    TRUST_PROXY: 'v-proxy',
    WORKERS: 'v-workers',
    LOG_LEVEL: 'v-level',
    APPLICATION_TOKEN_TTL: 'v-ttl',
    FAMILY_IDLE: 'v-idle',
    FAMILY_MAX: 'v-max',
    FAMILY_HISTORY: 'v-history',
    ROTATION_GRACE: 'v-grace',
    ROTATION_GRACE_PROVEN: 'v-proven',
    IDENTITY_SESSION_IDLE: 'v-session-idle',
    IDENTITY_SESSION_MAX: 'v-session-max',
  }
  const [headline, ...lines] = refusal(env).split('\n')
  assert.equal(headline, 'Gatehouse cannot start: some settings are wrong.')
  for (const name of Object.keys(env))
    assert.ok(
      lines.some((line) => line.startsWith(`  ${name}: `)),
      name,
    )
  assert.equal(
    lines.some((line) => /\bv-/.test(line)),
    false,
  )
})

for (const from of [
  'Team: Support <id@example.test>',
  '"Team \\"A\\", Support" <id@example.test>',
  'id@почта.рф',
  'Почта <id@почта.рф>',
  'id@[::1]',
  'Gatehouse <id@localhost>',
])
  test(`MAIL_FROM=${from} is taken`, () =>
    assert.equal(readConfig({ GATEHOUSE_SECRET: SECRET, MAIL_FROM: from }).mailFrom, from))

for (const from of [
  'a@b.test, c@d.test',
  'Gatehouse',
  'Gatehouse <>',
  'Gatehouse <id>',
  '<a@b.test> <c@d.test>',
  'a b@c.test',
  'id@exa mple.test',
  'A\n<a@b.test>',
])
  test(`MAIL_FROM=${JSON.stringify(from)} is refused`, () =>
    assert.match(refusal({ GATEHOUSE_SECRET: SECRET, MAIL_FROM: from }), /MAIL_FROM: must be an address/))

test('the URL for migrations goes with one for the portal, which names its role', () => {
  const env = { GATEHOUSE_SECRET: SECRET, DATABASE_MIGRATION_URL: 'postgresql://owner:p@h/d' }
  const config = readConfig({ ...env, DATABASE_URL: 'postgresql://portal:p@h/d' })
  assert.deepEqual([config.databaseUrl, config.migrationUrl], ['postgresql://portal:p@h/d', env.DATABASE_MIGRATION_URL])
  for (const DATABASE_URL of ['', 'postgresql://h/d'])
    assert.match(refusal({ ...env, DATABASE_URL }), /^ {2}DATABASE_URL: must be set and name its role/m)
  const wrong = { DATABASE_URL: 'postgresql://portal:p@h/d', DATABASE_MIGRATION_URL: 'mysql://h/d' }
  assert.match(refusal(wrong), /^ {2}DATABASE_MIGRATION_URL: must be a URL that begins with postgresql:/m)
})

for (const [name, scheme] of [
  ['DATABASE_URL', 'postgresql'],
  ['DATABASE_MIGRATION_URL', 'postgresql'],
  ['REDIS_URL', 'redis'],
  ['SMTP_URL', 'smtp'],
] as const) {
  test(`a password in ${name} with a character that ends it is refused without a piece of it`, () => {
    const given = {
      GATEHOUSE_SECRET: SECRET,
      ...(name === 'DATABASE_MIGRATION_URL' && { DATABASE_URL: 'postgresql://u@h/d' }),
    }
    for (const password of [
      '12/cret',
      '12?cret',
      '12#cret',
      'se/cret',
      'se?cret',
      'se#cret',
      'se%cret',
      'se%',
      '%ffcret',
      'p@12/cret',
      '#cret',
    ]) {
      const message = refusal({ ...given, [name]: `${scheme}://user:${password}@host/0` })
      assert.match(
        message,
        new RegExp(`^ {2}${name}: has a character in its user name or password that ends it`, 'm'),
        password,
      )
      assert.doesNotMatch(message, /cret|user:|host|12/)
    }
    const encoded = encodeURIComponent('se/?#%@cret')
    for (const value of [
      `${scheme}://user:${encoded}@host/0`,
      `${scheme}://user:se@cret@host/0`,
      `${scheme}://host:5432/0?a=b@c`,
    ])
      assert.doesNotThrow(() => readConfig({ ...given, NODE_ENV: 'test', [name]: value }), value)
  })
}

test('an empty variable is one that is not set', () => {
  const config = readConfig({ GATEHOUSE_SECRET: SECRET, DATABASE_URL: '', REDIS_URL: '', PORT: '', PUBLIC_URL: '' })
  assert.deepEqual([config.databaseUrl, config.redisUrl, config.port], [null, null, 3000])
})

for (const [name, value, read] of [
  ['GATEHOUSE_SECRET', SECRET, (config) => config.secrets[0]],
  ['DATABASE_URL', 'postgresql://u:p@h/d', (config) => config.databaseUrl],
  ['REDIS_URL', 'redis://:p@h', (config) => config.redisUrl],
  ['SMTP_URL', 'smtp://u:p@h', () => 'smtp://u:p@h'],
] satisfies [string, string, (config: Config) => unknown][]) {
  test(`${name} may come as a file`, async () => {
    const path = join(root.path, name)
    await writeFile(path, `${value}\n`)
    assert.equal(read(readConfig({ DATA_DIR: join(root.path, 'files'), [`${name}_FILE`]: path })), value)
  })

  test(`${name} cannot come as a file that is not there, nor twice, nor wrong`, async () => {
    const data = { DATA_DIR: join(root.path, 'files') }
    const missing = join(root.path, 'v-missing')
    assert.match(refusal({ ...data, [`${name}_FILE`]: missing }), new RegExp(`${name}_FILE: the file cannot be read$`))
    assert.equal(refusal({ ...data, [`${name}_FILE`]: missing }).includes('v-missing'), false)

    const path = join(root.path, `${name}-wrong`)
    await writeFile(path, 'v-wrong')
    const twice = refusal({ ...data, [name]: value, [`${name}_FILE`]: path })
    assert.match(twice, new RegExp(`${name}: is set twice, as ${name} and as ${name}_FILE$`))
    const wrong = refusal({ ...data, [`${name}_FILE`]: path })
    assert.match(wrong, new RegExp(`  ${name}: `))
    assert.equal(wrong.includes('v-wrong'), false)
  })
}

test('a version of the terms of use needs the terms', () => {
  assert.match(refusal({ TERMS_VERSION: '1' }), /^ {2}TERMS_URL: must be set when TERMS_VERSION is set$/m)
  const { brand } = readConfig({
    GATEHOUSE_SECRET: SECRET,
    TERMS_VERSION: '1',
    TERMS_URL: 'https://example.test/terms',
  })
  assert.equal(brand.termsVersion, '1')
  const tooLong = { TERMS_VERSION: 'x'.repeat(41), TERMS_URL: 'https://example.test/terms' }
  assert.match(refusal(tooLong), /^ {2}TERMS_VERSION: must not be longer than 40 characters$/m)
})

test('an identity source has a key of its own, and gets passwords over TLS in production', () => {
  const url = 'https://users.example.test/source'
  const secret = 'y'.repeat(32)
  const settings = { IDENTITY_SOURCE_URL: url, IDENTITY_SOURCE_SECRET: secret }
  const { identitySource } = readConfig({ GATEHOUSE_SECRET: SECRET, ...settings, IDENTITY_SOURCE_STATUS_TTL: '2m' })
  assert.deepEqual(identitySource, { url, secret, statusTtl: 120, ldap: null })

  assert.match(
    refusal({ IDENTITY_SOURCE_URL: url }),
    /^ {2}IDENTITY_SOURCE_SECRET: must be set when IDENTITY_SOURCE_URL/m,
  )
  assert.match(
    refusal({ ...settings, IDENTITY_SOURCE_SECRET: 'y' }),
    /^ {2}IDENTITY_SOURCE_SECRET: must be at least 32/m,
  )
  assert.match(
    refusal({ ...settings, IDENTITY_SOURCE_SECRET: `${secret},y` }),
    /^ {2}IDENTITY_SOURCE_SECRET: must be at least 32/m,
  )
  assert.ok(readConfig({ GATEHOUSE_SECRET: SECRET, ...settings, IDENTITY_SOURCE_SECRET: `${secret}, ${secret}` }))
  const named = refusal({ ...settings, IDENTITY_SOURCE_URL: 'https://ada:pass@users.example.test' })
  assert.match(named, /^ {2}IDENTITY_SOURCE_URL: must have no user name/m)
  const plain = { ...settings, NODE_ENV: 'production', PUBLIC_URL: 'https://id.example.test', GATEHOUSE_SECRET: SECRET }
  assert.match(
    refusal({ ...plain, IDENTITY_SOURCE_URL: 'http://users.example.test' }),
    /^ {2}IDENTITY_SOURCE_URL: must begin with https:/m,
  )
  assert.ok(readConfig({ ...plain, IDENTITY_SOURCE_URL: 'http://127.0.0.1:4000' }).identitySource)
})

test('a directory has a base and an account for the portal, and gets passwords over TLS', () => {
  const settings = {
    IDENTITY_SOURCE_URL: 'ldaps://directory.example.test/ou=our%20people,dc=example,dc=test',
    IDENTITY_SOURCE_SECRET: 'short',
    LDAP_BIND_DN: 'cn=portal,dc=example,dc=test',
  }
  const ldapOf = (more: NodeJS.ProcessEnv) =>
    readConfig({ GATEHOUSE_SECRET: SECRET, ...settings, ...more }).identitySource?.ldap
  const defaults = {
    bindDn: settings.LDAP_BIND_DN,
    userFilter: null,
    idAttribute: null,
    attributes: {},
    roleGroups: [],
    ca: null,
    startsTls: false,
    setsPasswords: false,
  }
  assert.deepEqual(ldapOf({}), defaults)
  assert.deepEqual(
    ldapOf({
      IDENTITY_SOURCE_URL: 'ldap://directory.example.test/dc=example,dc=test',
      LDAP_TLS: 'starttls',
      LDAP_USER_FILTER: '(&(mail={login}@example.test)(|(uid=x)(uid={login})))',
      LDAP_ATTRIBUTES: 'email=userPrincipalName,nickname = cn',
      LDAP_ROLE_GROUPS: String.raw`admin=cn=a\;b,dc=example,dc=test ; editor = cn=editors,dc=example,dc=test`,
      LDAP_SET_PASSWORDS: 'true',
    }),
    {
      ...defaults,
      userFilter: '(&(mail={login}@example.test)(|(uid=x)(uid={login})))',
      attributes: { email: 'userPrincipalName', nickname: 'cn' },
      roleGroups: [
        { role: 'admin', group: String.raw`cn=a\;b,dc=example,dc=test` },
        { role: 'editor', group: 'cn=editors,dc=example,dc=test' },
      ],
      startsTls: true,
      setsPasswords: true,
    },
  )
  for (const host of ['localhost', '127.0.0.1', '10.1.2.3', '[fd00::1]', '[::1]'])
    assert.ok(ldapOf({ IDENTITY_SOURCE_URL: `ldap://${host}:389/dc=example` }), host)
  assert.ok(ldapOf({ IDENTITY_SOURCE_URL: 'ldap://directory/dc=example', LDAP_TLS: 'none' }))

  for (const [wrong, fault] of [
    [{ LDAP_BIND_DN: undefined }, /LDAP_BIND_DN: must be set where/],
    [{ IDENTITY_SOURCE_URL: 'ldaps://directory.example.test' }, /IDENTITY_SOURCE_URL: must end with the DN/],
    [{ IDENTITY_SOURCE_URL: 'ldaps://directory.example.test/dc=%E0%A4%A' }, /IDENTITY_SOURCE_URL: must end with/],
    [{ IDENTITY_SOURCE_URL: 'ldaps://a:b@directory.example.test/dc=x' }, /IDENTITY_SOURCE_URL: must end with/],
    [{ IDENTITY_SOURCE_URL: 'ldap://directory.example.test/dc=x' }, /LDAP_TLS: must be starttls, or none/],
    [{ IDENTITY_SOURCE_URL: 'ldap://8.8.8.8/dc=x' }, /LDAP_TLS: must be starttls, or none/],
    [{ LDAP_TLS: 'none' }, /LDAP_TLS: must not be set where/],
    [{ LDAP_CA_FILE: '/nowhere/ca.pem' }, /LDAP_CA_FILE: the file cannot be read/],
    [{ LDAP_CA_FILE: import.meta.filename }, /LDAP_CA_FILE: the file has no certificate/],
    ...[
      '(uid=ada)',
      '{login}',
      '(uid:caseExactMatch:={login})',
      '(uid~={login})',
      '(uid={login}',
      '(uid={login}))',
      'uid={login}',
    ].map((filter) => [{ LDAP_USER_FILTER: filter }, /LDAP_USER_FILTER: must be an LDAP filter/] as const),
    [{ LDAP_ATTRIBUTES: 'email' }, /LDAP_ATTRIBUTES: must be pairs like email=mail/],
    [{ LDAP_ROLE_GROUPS: 'admin' }, /LDAP_ROLE_GROUPS: must be pairs like/],
    [{ IDENTITY_SOURCE_URL: 'https://users.example.test' }, /IDENTITY_SOURCE_URL: must begin with ldaps/],
  ] as const)
    assert.match(refusal({ ...settings, ...wrong }), fault, JSON.stringify(wrong))
})

test('in production the address and the secret must be set', () => {
  const config = readConfig(PRODUCTION)
  assert.equal(config.production, true)
  assert.deepEqual(config.allowedNetworks, [])
  assert.equal(config.host, '0.0.0.0')
  assert.equal(
    refusal({ NODE_ENV: 'production' }),
    `Gatehouse cannot start: some settings are wrong.
  PUBLIC_URL: must be set in production
  GATEHOUSE_SECRET: must be set in production`,
  )
})

for (const url of [
  'http://id.example.test',
  'HTTP://id.example.test',
  ' http://id.example.test',
  'http://localhost:3000',
]) {
  test(`in production ${JSON.stringify(url)} is refused: cookies and tokens need https`, () => {
    assert.match(refusal({ ...PRODUCTION, PUBLIC_URL: url }), /PUBLIC_URL: must begin with https:\/\/ in production/)
  })
}

test('in production no secret is ever made', async () => {
  const dataDir = join(root.path, 'production')
  refusal({ NODE_ENV: 'production', PUBLIC_URL: 'https://id.example.test', DATA_DIR: dataDir })
  readConfig({ ...PRODUCTION, DATA_DIR: dataDir })
  await assert.rejects(stat(dataDir), { code: 'ENOENT' })
})

test('in development a secret is made once, kept for its owner only, and found again', async () => {
  const dataDir = join(root.path, 'made/deep')
  const [secret] = readConfig({ DATA_DIR: dataDir }).secrets
  assert.match(secret, /^[A-Za-z0-9_-]{64}$/)
  assert.deepEqual(readConfig({ DATA_DIR: dataDir }).secrets, [secret])
  assert.equal((await stat(join(dataDir, 'secret'))).mode & 0o777, 0o600)
  assert.equal((await readFile(join(dataDir, 'secret'), 'utf8')).trim(), secret)
  assert.deepEqual(await readdir(dataDir), ['secret'])
  assert.notDeepEqual(readConfig({ DATA_DIR: join(root.path, 'another') }).secrets, [secret])
})

test('nothing is made while anything is wrong', async () => {
  const dataDir = join(root.path, 'unmade')
  refusal({ DATA_DIR: dataDir, PORT: 'wrong' })
  await assert.rejects(stat(dataDir), { code: 'ENOENT' })
})

test('processes that make the secret at once agree on one', async () => {
  const dataDir = join(root.path, 'raced')
  await mkdir(dataDir)
  const program = `import { readConfig } from ${JSON.stringify(join(import.meta.dirname, 'config.ts'))}
console.log(readConfig({ DATA_DIR: ${JSON.stringify(dataDir)} }).secrets[0])`
  const printed = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
      return output
    }),
  )
  assert.equal(new Set(printed).size, 1)
  assert.match(printed[0] as string, /^[A-Za-z0-9_-]{64}\n$/)
  assert.deepEqual(await readdir(dataDir), ['secret'])
})

for (const env of [{}, { NODE_ENV: '' }, { NODE_ENV: 'development' }])
  for (const publicUrl of [
    'https://id.example.test',
    'https://id.example.test:8443',
    'https://192.0.2.1',
    'HTTPS://ID',
  ])
    test(`${JSON.stringify(env)} at ${publicUrl} is a forgotten NODE_ENV`, () => {
      const [, ...lines] = refusal({ ...env, PUBLIC_URL: publicUrl, GATEHOUSE_SECRET: SECRET }).split('\n')
      assert.deepEqual(lines, [
        '  NODE_ENV: must be production where PUBLIC_URL is the https address of a portal that others can reach; to develop, set PUBLIC_URL to http://localhost and the port instead',
      ])
    })

test('an address of this machine is for development, with https too', () => {
  for (const publicUrl of ['https://localhost:3000', 'https://127.0.0.1:3000', 'https://[::1]', 'http://localhost']) {
    const config = readConfig({ PUBLIC_URL: publicUrl, GATEHOUSE_SECRET: SECRET })
    assert.equal(config.production, false)
    assert.equal(config.publicUrl, publicUrl)
  }
})

test('loopback is what only this machine can reach', () => {
  for (const hostname of ['localhost', '127.0.0.1', '[::1]', 'app.localhost', 'a.b.localhost'])
    assert.equal(isLoopback(hostname), true)
  for (const hostname of ['0.0.0.0', '[::]', '127.0.0.1.example.test', 'localhost.example.test', 'evillocalhost', '']) {
    assert.equal(isLoopback(hostname), false)
  }
})

function refusal(env: NodeJS.ProcessEnv): string {
  try {
    readConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.message
  }
  return assert.fail('it was taken')
}

test('headers with the certificate of a client are taken only from a trusted proxy', () => {
  const env = { TLS_CLIENT_CERT_HEADER: 'Client-Cert', TLS_CLIENT_VERIFY_HEADER: 'X-Verified' }
  const words = /^ {2}TRUST_PROXY: must name the proxy that sets TLS_CLIENT_CERT_HEADER$/m
  for (const more of [{}, { TRUST_PROXY: 'false' }, { TRUST_PROXY: '0' }])
    assert.match(refusal({ ...env, ...more }), words)
  const alone = refusal({ TRUST_PROXY: '1', TLS_CLIENT_VERIFY_HEADER: 'X-Verified' })
  assert.match(alone, /^ {2}TLS_CLIENT_CERT_HEADER: must be set when TLS_CLIENT_VERIFY_HEADER is set$/m)
  const malformed = refusal({ TRUST_PROXY: '1', TLS_CLIENT_CERT_HEADER: 'X: SSL' })
  assert.match(malformed, /^ {2}TLS_CLIENT_CERT_HEADER: must be the name of an HTTP header$/m)
  const config = readConfig({ NODE_ENV: 'test', GATEHOUSE_SECRET: SECRET, TRUST_PROXY: '1', ...env })
  assert.deepEqual([config.certHeader, config.verifyHeader], ['Client-Cert', 'X-Verified'])
})
