import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { domainToASCII } from 'node:url'
import { join, resolve } from 'node:path'
import { closest, distance } from 'fastest-levenshtein'
import proxyAddr from 'proxy-addr'
import { z } from 'zod'

export interface Config {
  production: boolean
  /** Neither production nor a test: answers to apps say what was wrong in full. */
  development: boolean
  host: string
  port: number
  /** Origin that browsers type, without a trailing slash; the issuer. */
  publicUrl: string
  /** Root secrets; the first signs, all verify. */
  secrets: readonly [string, ...string[]]
  /** Null means the embedded database in `dataDir`. */
  databaseUrl: string | null
  /** Of the owner of the tables, where the role of `databaseUrl` is another one that may not change them. */
  migrationUrl: string | null
  redisUrl: string | null
  /** How long the database may take for a connection or a query before people and apps are told "not now" (ms). */
  storePatience: number
  dataDir: string
  /** False for statements without a name, which a pooler in transaction mode (PgBouncer) needs. */
  preparedStatements: boolean
  trustProxy: boolean | number | string
  /** How long a connection that is kept may be idle (seconds). */
  keepAliveTimeout: number
  /** Whether HSTS covers the subdomains of PUBLIC_URL's host, too. */
  hstsIncludeSubdomains: boolean
  /** Private networks (CIDRs) in which apps may be told things. */
  allowedNetworks: string[]
  /** How many processes share the port. */
  workers: number
  /** Whether the processes that serve also send what is queued and forget what has expired; else `gatehouse worker` does. */
  inProcessWorker: boolean
  logLevel: string
  /** No setting: less than argon2id's usual cost, for tests whose subject is another one. */
  passwordCost?: { memoryCost: number; timeCost: number }
  lifetimes: Lifetimes
  /** Null while no mail leaves. */
  smtpUrl: string | null
  /** The folder in which mail lands instead, in development; null in production, and when `smtpUrl` is set. */
  outbox: string | null
  mailFrom: string
  policy: Policy
}

/**
 * What a family follows. `session`: its identity session, so that all of them end together, by time too. `browser`: signing
 * out of its browser ends it, a browser that merely idles does not. `offline`: it outlives both, until somebody ends it.
 */
export const FAMILY_LIFETIMES = ['session', 'browser', 'offline'] as const
export type FamilyLifetime = (typeof FAMILY_LIFETIMES)[number]

/** Whether signing in again in the same browser gives living families a new term. What follows its session always gets one. */
export const FAMILY_RENEWALS = ['never', 'sign-in'] as const
export type FamilyRenewal = (typeof FAMILY_RENEWALS)[number]

/** What this portal asks of people, and how much it lets strangers try. */
export interface Policy {
  /** Whether somebody must have proved their address before apps are connected. */
  emailVerification: 'optional' | 'required'
  /** What families follow, and whether signing in again gives them a new term, unless their app has its own. */
  familyLifetime: FamilyLifetime
  familyRenewal: FamilyRenewal
  /** Characters of a password that is the only factor, and of one that is not. */
  passwordLength: number
  passwordLengthWithSecondFactor: number
  /** Asked about the first five figures of a password's SHA-1; null asks nobody. */
  passwordRangeUrl: string | null
  /** Wrong guesses that cost no waiting; then the first wait, which doubles, and the longest (seconds). */
  freeGuesses: number
  firstGuessDelay: number
  longestGuessDelay: number
  /** Failures from one address within an hour that suspend it, 0 for never, and for how long (seconds). */
  suspensionAfter: number
  suspension: number
  /** Accounts that may be made from one address in an hour. */
  registrationsPerHour: number
  /** A MaxMind DB file that says where addresses are; null when nobody knows. */
  placeDatabase: string | null
}

/** All in seconds. */
export interface Lifetimes {
  applicationToken: number
  familyIdle: number
  familyMax: number
  /** How long a family that has ended is remembered. */
  familyHistory: number
  /** How long a replaced refresh token is answered with the current one. */
  rotationGrace: number
  /** The same for the immediate predecessor, from a holder that proves itself, until the current one has been presented. */
  rotationGraceProven: number
  identitySessionIdle: number
  identitySessionMax: number
  /** How long ago a person may have proved who they are when they change what protects the account. */
  freshSignIn: number
  /** How long a deleted account can be kept after all. */
  deletionGrace: number
}

export class ConfigError extends Error {}

const DAY = 86_400
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])
const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128']
const SECRET_NAMES = ['GATEHOUSE_SECRET', 'DATABASE_URL', 'DATABASE_MIGRATION_URL', 'REDIS_URL', 'SMTP_URL'] as const

/**
 * Reads and checks the whole environment at once. In development a secret that is not set is made and kept, unless
 * `makeSecret` is false.
 * @throws ConfigError whose message lists every fault, one a line, and never a value.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env, { makeSecret = true } = {}): Config {
  const faults: string[] = []
  const given = withFiles(env, faults)
  const parsed = environment.safeParse(given)

  if (!parsed.success) {
    faults.push(...parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`))
  }

  const production = given['NODE_ENV'] === 'production'
  if (production) {
    for (const name of ['PUBLIC_URL', 'GATEHOUSE_SECRET'] as const) {
      if (given[name] === undefined) faults.push(`${name}: must be set in production`)
    }
    if (URL.parse(given['PUBLIC_URL'] ?? '')?.protocol === 'http:')
      faults.push('PUBLIC_URL: must begin with https:// in production')
  } else if (given['NODE_ENV'] !== 'test' && isPublicHttps(given['PUBLIC_URL'])) {
    // Mails that open accounts would lie in a folder, and the secret beside them.
    faults.push(
      'NODE_ENV: must be production where PUBLIC_URL is the https address of a portal that others can reach; to develop, set PUBLIC_URL to http://localhost and the port instead',
    )
  }

  if (given['DATABASE_MIGRATION_URL'] !== undefined && !URL.parse(given['DATABASE_URL'] ?? '')?.username)
    faults.push('DATABASE_URL: must be set and name its role when DATABASE_MIGRATION_URL is set')

  if (!parsed.success || faults.length > 0) {
    throw new ConfigError(
      `Gatehouse cannot start: ${faults.length === 1 ? 'one setting is' : 'some settings are'} wrong.\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    )
  }

  const values = parsed.data
  const dataDir = resolve(values.DATA_DIR)
  return {
    production,
    development: values.NODE_ENV === 'development',
    host: values.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: values.PORT,
    publicUrl: values.PUBLIC_URL ?? `http://localhost:${values.PORT}`,
    secrets: values.GATEHOUSE_SECRET ?? [makeSecret ? makeDevelopmentSecret(dataDir) : readDevelopmentSecret(dataDir)],
    databaseUrl: values.DATABASE_URL ?? null,
    migrationUrl: values.DATABASE_MIGRATION_URL ?? null,
    redisUrl: values.REDIS_URL ?? null,
    storePatience: values.STORE_PATIENCE,
    dataDir,
    preparedStatements: values.PREPARED_STATEMENTS === 'on',
    trustProxy: values.TRUST_PROXY,
    keepAliveTimeout: values.KEEP_ALIVE_TIMEOUT,
    hstsIncludeSubdomains: values.HSTS_INCLUDE_SUBDOMAINS === 'true',
    allowedNetworks: values.ALLOWED_NETWORKS ?? (production ? [] : LOOPBACK_NETWORKS),
    workers: values.WORKERS,
    inProcessWorker: values.IN_PROCESS_WORKER === 'true',
    logLevel: values.LOG_LEVEL,
    lifetimes: {
      applicationToken: values.APPLICATION_TOKEN_TTL,
      familyIdle: values.FAMILY_IDLE,
      familyMax: values.FAMILY_MAX,
      familyHistory: values.FAMILY_HISTORY,
      rotationGrace: values.ROTATION_GRACE,
      // Without a window no refresh token is answered twice, unless the operator says otherwise.
      rotationGraceProven: values.ROTATION_GRACE_PROVEN ?? (values.ROTATION_GRACE === 0 ? 0 : 7 * DAY),
      identitySessionIdle: values.IDENTITY_SESSION_IDLE,
      identitySessionMax: values.IDENTITY_SESSION_MAX,
      freshSignIn: values.FRESH_SIGN_IN,
      deletionGrace: values.DELETION_GRACE,
    },
    smtpUrl: values.SMTP_URL ?? null,
    outbox: production || values.SMTP_URL !== undefined ? null : join(dataDir, 'outbox'),
    mailFrom: values.MAIL_FROM ?? `Gatehouse <no-reply@${new URL(values.PUBLIC_URL ?? 'http://localhost').hostname}>`,
    policy: {
      emailVerification: values.EMAIL_VERIFICATION,
      familyLifetime: values.FAMILY_LIFETIME,
      familyRenewal: values.FAMILY_RENEWAL,
      passwordLength: values.PASSWORD_LENGTH,
      passwordLengthWithSecondFactor: values.PASSWORD_LENGTH_WITH_SECOND_FACTOR,
      passwordRangeUrl: values.PASSWORD_RANGE_URL ?? null,
      freeGuesses: values.FREE_GUESSES,
      firstGuessDelay: values.FIRST_GUESS_DELAY,
      longestGuessDelay: values.LONGEST_GUESS_DELAY,
      suspensionAfter: values.SUSPENSION_AFTER,
      suspension: values.SUSPENSION,
      registrationsPerHour: values.REGISTRATIONS_PER_HOUR,
      placeDatabase: values.PLACE_DATABASE ?? null,
    },
  }
}

function seconds(minimum: number, maximum: number, preset: number) {
  return someSeconds(minimum, maximum).default(preset)
}

function someSeconds(minimum: number, maximum: number) {
  return z
    .string()
    .regex(/^\d{1,10}$/, 'must be a whole number of seconds')
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, `must be between ${minimum} and ${maximum} seconds`)
}

function count(minimum: number, maximum: number, preset: number) {
  return z
    .string()
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, `must be between ${minimum} and ${maximum}`)
    .default(preset)
}

function url(...protocols: string[]) {
  return z.string().refine(
    (value) => {
      const parsed = URL.parse(value)
      return parsed !== null && protocols.includes(parsed.protocol)
    },
    `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  )
}

/** Only this is said then: what else is wrong follows from it. */
const UNENCODED = {
  error:
    'has a character in its user name or password that ends it in a URL: percent-encode /, ?, #, % and @ (as %2F, %3F, %23, %25 and %40)',
  abort: true,
}

/**
 * False for a URL whose user name or password has a character that is not percent-encoded, so that a part of it would be taken
 * for a host, a port, a path or a query.
 */
function isEncoded(value: string): boolean {
  const [, scheme, rest = ''] = /^([\w+.-]+:)?\/\/(.*)$/s.exec(value) ?? []
  // Another fault is what is wrong with it.
  if (scheme === undefined) return true
  const [authority = ''] = rest.split(/[/?#]/, 1)
  const behind = rest.slice(authority.length)
  if (behind.includes('#')) return false
  // In a query, an @ is nothing unusual.
  if (/[:@]/.test(authority) && /^[^?]*@|^[^=]*\?[^=]*@/.test(behind)) return false
  try {
    decodeURIComponent(authority.slice(0, Math.max(0, authority.lastIndexOf('@'))))
    return true
  } catch {
    return false
  }
}

const environment = z.object({
  NODE_ENV: z
    .enum(['production', 'development', 'test'], 'must be production, development or test')
    .default('development'),
  HOST: z.string().min(1).optional(),
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'must be a port number')
    .transform(Number)
    .refine((port) => port <= 65_535, 'must be a port number')
    .default(3000),
  PUBLIC_URL: url('https:', 'http:')
    .refine((value) => isOrigin(value), 'must be an origin: scheme, host and port, without a path')
    .transform((value) => new URL(value).origin)
    .optional(),
  GATEHOUSE_SECRET: z
    .string()
    .transform((value) => value.split(',').map((secret) => secret.trim()))
    .refine(
      (secrets) => secrets.every((secret) => Buffer.byteLength(secret) >= 32),
      'each secret must have at least 32 bytes',
    )
    .refine(
      (secrets) => secrets.every((secret) => new Set(secret).size >= 8),
      'must be random: try `openssl rand -base64 48`',
    )
    .transform((secrets) => secrets as [string, ...string[]])
    .optional(),
  DATABASE_URL: z.string().refine(isEncoded, UNENCODED).pipe(url('postgresql:', 'postgres:')).optional(),
  DATABASE_MIGRATION_URL: z.string().refine(isEncoded, UNENCODED).pipe(url('postgresql:', 'postgres:')).optional(),
  REDIS_URL: z
    .string()
    .refine((value) => value.split(',').every(isEncoded), UNENCODED)
    .refine(
      (value) => value.split(',').every((node, index) => isRedisNode(node, index === 0)),
      'must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://',
    )
    .optional(),
  PREPARED_STATEMENTS: z.enum(['on', 'off'], 'must be on or off').default('on'),
  STORE_PATIENCE: count(100, 600_000, 1500),
  DATA_DIR: z.string().min(1).default('./data'),
  SMTP_URL: z.string().refine(isEncoded, UNENCODED).pipe(url('smtp:', 'smtps:')).optional(),
  MAIL_FROM: z.string().refine(isSender, 'must be an address, or a name and an address in angle brackets').optional(),
  EMAIL_VERIFICATION: z.enum(['optional', 'required'], 'must be optional or required').default('optional'),
  FAMILY_LIFETIME: z.enum(FAMILY_LIFETIMES, `must be ${FAMILY_LIFETIMES.join(', ')}`).default('browser'),
  FAMILY_RENEWAL: z.enum(FAMILY_RENEWALS, `must be ${FAMILY_RENEWALS.join(' or ')}`).default('never'),
  TRUST_PROXY: z
    .string()
    .refine(isProxySetting, 'must be true, false, a number of proxies, or their addresses')
    .default('false')
    .transform(trustProxy),
  // Longer than any common proxy keeps an idle connection (Google Cloud: 600 s), or it reuses one that is just being closed.
  KEEP_ALIVE_TIMEOUT: seconds(1, 86_400, 620),
  HSTS_INCLUDE_SUBDOMAINS: z.enum(['true', 'false'], 'must be true or false').default('false'),
  ALLOWED_NETWORKS: z
    .string()
    .transform((value) => value.split(',').map((network) => network.trim()))
    .refine(
      (networks) => networks.every(isNetwork),
      'must be networks like 10.0.0.0/8 or fd00::/8, with commas between',
    )
    .optional(),
  WORKERS: z
    .string()
    .regex(/^(auto|[1-9]\d{0,2})$/, 'must be a number of processes or auto')
    .default('1')
    .transform((value) => (value === 'auto' ? availableParallelism() : Number(value))),
  IN_PROCESS_WORKER: z.enum(['true', 'false'], 'must be true or false').default('true'),
  LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'must be fatal, error, warn, info, debug, trace or silent',
    )
    .default('info'),
  METRICS_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  APPLICATION_TOKEN_TTL: seconds(10, 3600, 300),
  FAMILY_IDLE: seconds(10, 3650 * DAY, 30 * DAY),
  FAMILY_MAX: seconds(10, 3650 * DAY, 90 * DAY),
  FAMILY_HISTORY: seconds(3600, 3650 * DAY, 90 * DAY),
  ROTATION_GRACE: seconds(0, 300, 30),
  ROTATION_GRACE_PROVEN: someSeconds(0, 90 * DAY).optional(),
  IDENTITY_SESSION_IDLE: seconds(10, 400 * DAY, 14 * DAY),
  IDENTITY_SESSION_MAX: seconds(10, 400 * DAY, 90 * DAY),
  FRESH_SIGN_IN: seconds(10, DAY, 600),
  DELETION_GRACE: seconds(0, 365 * DAY, 14 * DAY),
  PASSWORD_LENGTH: count(8, 64, 15),
  PASSWORD_LENGTH_WITH_SECOND_FACTOR: count(8, 64, 8),
  PASSWORD_RANGE_URL: url('https:', 'http:')
    .refine((value) => !value.includes('@'), 'must be a URL without a user name')
    .optional(),
  FREE_GUESSES: count(1, 100, 5),
  FIRST_GUESS_DELAY: seconds(1, DAY, 1),
  LONGEST_GUESS_DELAY: seconds(1, DAY, 900),
  SUSPENSION_AFTER: count(0, 1_000_000, 100),
  SUSPENSION: seconds(1, 30 * DAY, 900),
  REGISTRATIONS_PER_HOUR: count(1, 1_000_000, 60),
  PLACE_DATABASE: z.string().min(1).optional(),
})

/** Every secret may also come as NAME_FILE, the way container platforms hand them over. Empty means unset. */
function withFiles(env: NodeJS.ProcessEnv, faults: string[]): NodeJS.ProcessEnv {
  const given: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && value !== '') given[name] = value
  }
  for (const name of [...SECRET_NAMES, 'METRICS_TOKEN']) {
    const path = given[`${name}_FILE`]
    if (path === undefined) continue
    if (given[name] !== undefined) {
      faults.push(`${name}: is set twice, as ${name} and as ${name}_FILE`)
      continue
    }
    try {
      given[name] = readFileSync(path, 'utf8').trim()
    } catch {
      faults.push(`${name}_FILE: the file cannot be read`)
    }
  }
  return given
}

/** True for an address, or a name and an address in angle brackets; `mail/sender.ts` reads it. */
function isSender(value: string): boolean {
  const [, address] = /^(?: *"(?:[^"\\\p{Cc}]|\\[^\p{Cc}])*"|[^\p{Cc}<>]*) *<([^<>]*)> *$/u.exec(value) ?? [
    null,
    value.trim(),
  ]
  const [, domain = ''] = /^[^\p{Cc}\s@<>"(),:;]+@([^\p{Cc}\s@<>"(),;]+)$/u.exec(address) ?? []
  return domainToASCII(domain) !== ''
}

/** True for an https origin that is not on this machine. */
function isPublicHttps(value = ''): boolean {
  const url = URL.parse(value)
  return url?.protocol === 'https:' && isOrigin(value) && !isLoopback(url.hostname)
}

function isOrigin(value: string): boolean {
  const parsed = URL.parse(value)
  return parsed !== null && parsed.href === `${parsed.origin}/`
}

/** After the first, the addresses of Sentinels and of a Cluster may come without their scheme. */
function isRedisNode(node: string, isFirst: boolean): boolean {
  const url = isFirst || node.includes('://') ? node : `redis://${node}`
  return /^rediss?(\+sentinel|\+cluster)?:$/.test(URL.parse(url)?.protocol ?? '')
}

function isNetwork(value: string): boolean {
  const [, address = '', bits = ''] = /^([\da-f.:]+)\/(\d{1,3})$/i.exec(value) ?? []
  const kind = isIP(address)
  return kind !== 0 && Number(bits) <= (kind === 4 ? 32 : 128)
}

function isProxySetting(value: string): boolean {
  if (/^(true|false|\d{1,2})$/.test(value)) return true
  try {
    proxyAddr.compile(value.split(/\s*,\s*/))
    return true
  } catch {
    return false
  }
}

function trustProxy(value: string): boolean | number | string {
  if (value === 'true' || value === 'false') return value === 'true'
  return /^\d+$/.test(value) ? Number(value) : value
}

/** Made once and kept, so that a restart in development signs nobody out. */
function makeDevelopmentSecret(dataDir: string): string {
  const path = secretPath(dataDir)
  mkdirSync(dataDir, { recursive: true })
  if (!existsSync(path)) {
    const draft = `${path}.${process.pid}`
    writeFileSync(draft, `${randomBytes(48).toString('base64url')}\n`, { mode: 0o600 })
    try {
      // A link appears whole or not at all, and never replaces what a process that starts beside us has made.
      linkSync(draft, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      rmSync(draft)
    }
  }
  return readDevelopmentSecret(dataDir)
}

/** @throws ConfigError where no portal has made one */
function readDevelopmentSecret(dataDir: string): string {
  try {
    return readFileSync(secretPath(dataDir), 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new ConfigError(
      `gatehouse: no portal has been started in ${dataDir}: run this where the portal runs, with its settings (DATA_DIR, or DATABASE_URL and GATEHOUSE_SECRET); "gatehouse serve" makes a new one`,
    )
  }
}

function secretPath(dataDir: string): string {
  return join(dataDir, 'secret')
}

/** Settings in this environment that are none of ours but resemble one, such as SMTP_URI, each with the one it resembles. */
export function findMisspelt(env: NodeJS.ProcessEnv = process.env): [given: string, meant: string][] {
  const known = Object.keys(environment.shape)
  const ours = new Set([...known, ...[...SECRET_NAMES, 'METRICS_TOKEN'].map((name) => `${name}_FILE`)])
  const long = [...ours].filter((name) => name.length >= SHORTEST_MISSPELT)
  return Object.keys(env).flatMap((given): [string, string][] => {
    if (ours.has(given) || given.length < SHORTEST_MISSPELT) return []
    const name = given.toUpperCase().replace(/^GATEHOUSE_(?=.{4})/, '')
    const meant = closest(name, long)
    return distance(name, meant) <= MISSPELT_LETTERS ? [[given, meant]] : []
  })
}

/** Shorter names than this resemble too much: HOME is not HOST. */
const SHORTEST_MISSPELT = 6
const MISSPELT_LETTERS = 2

/** True for an address that only this machine can reach, where plain http is safe (`*.localhost`: RFC 6761 §6.3). */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.has(hostname) || hostname.endsWith('.localhost')
}
