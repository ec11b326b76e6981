import { join, resolve } from 'node:path'
import ipaddr from 'ipaddr.js'
import { wrongSettings } from './settings/config-error.ts'
import { makeDevelopmentSecret, readDevelopmentSecret } from './settings/development-secret.ts'
import { readAuthorities } from './settings/directory.ts'
import { withCommandedSecret } from './settings/secret-command.ts'
import { type Given, readEnvironment, type Values } from './settings/environment.ts'
import type { FamilyLifetime, FamilyRenewal } from './settings/family-policies.ts'
import { type Accent, deriveShades } from './settings/accent-shades.ts'
import { checkStyle, checkViews, type Logo, readLogo } from './settings/brand-files.ts'
import type { SettingName } from './settings/settings.ts'
import { isOrigin } from './settings/urls.ts'

export { ConfigError, wrongSettings } from './settings/config-error.ts'
export { inkOn } from './settings/accent-shades.ts'
export { imageTypeOf } from './settings/image-types.ts'
export {
  FAMILY_LIFETIMES,
  FAMILY_RENEWALS,
  type FamilyLifetime,
  type FamilyRenewal,
} from './settings/family-policies.ts'

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
  /** How long the database may take for a connection or a query before the answer is 503. */
  storeTimeoutMs: number
  dataDir: string
  /** False for statements without a name, which a pooler in transaction mode (PgBouncer) needs. */
  preparedStatements: boolean
  trustProxy: boolean | number | string
  /** The headers in which the proxy passes on the certificate of a client, and that it has verified it; null for none. */
  certHeader: string | null
  verifyHeader: string | null
  /** How long a connection that is kept may be idle (seconds). */
  keepAliveTimeout: number
  /** Whether HSTS covers the subdomains of PUBLIC_URL's host, too. */
  hstsIncludeSubdomains: boolean
  /** Private networks (CIDRs) to which back-channel notifications may be sent. */
  allowedNetworks: string[]
  /** How many processes share the port. */
  workers: number
  /** Whether the processes that serve also run the periodic jobs and deliveries; else `gatehouse worker` does. */
  inProcessWorker: boolean
  logLevel: string
  /** Where audit events go as they are written, beside the database. */
  auditStream: 'off' | 'stdout'
  auditWebhook: { url: string; secret: string } | null
  /** With which `/metrics` may be asked for from another machine; null where none may. */
  metricsToken: string | null
  /** Where `gatehouse worker` answers `/metrics`; null for nowhere. */
  metricsPort: number | null
  /** No setting: less than argon2id's usual cost, for tests whose subject is another one. */
  passwordCost?: { memoryCost: number; timeCost: number }
  lifetimes: Lifetimes
  /** Null while no mail leaves. */
  smtpUrl: string | null
  /** The folder of the mail preview, in development; null in production, and when `smtpUrl` is set. */
  mailFolder: string | null
  mailFrom: string
  policy: Policy
  brand: Brand
  /** Where users live who are not in the database; null for nowhere. */
  identitySource: IdentitySourceConfig | null
}

export interface IdentitySourceConfig {
  /** Its scheme says what it is: http(s) or ldap(s). */
  url: string
  /** What signs requests in both directions, or the password of the portal in a directory. */
  secret: string
  /** How old what is known about the status of its users may be (seconds). */
  statusTtl: number
  /** Null where it is no directory. */
  ldap: LdapConfig | null
}

/** Null leaves the choice to the kind of directory. */
export interface LdapConfig {
  /** Of the account with which the portal searches. */
  bindDn: string
  /** RFC 4515, with `{login}` for what the user entered. */
  userFilter: string | null
  /** The attribute that never changes. */
  idAttribute: string | null
  /** From `username`, `email` or a claim to an attribute, beside the usual ones. */
  attributes: Record<string, string>
  /** Members of the group, by its DN, have the role. */
  roleGroups: { role: string; group: string }[]
  /** Certificates (PEM) of the authorities that are trusted in place of the usual ones; null for those. */
  ca: string | null
  /** Whether `ldap://` is upgraded to TLS before anything is said. */
  startsTls: boolean
  setsPasswords: boolean
}

/** What the portal is called and looks like to people, and where it sends them. */
export interface Brand {
  /** The organisation. */
  name: string
  /** Null for that of the product. */
  logo: Logo | null
  /** The shades of its colour; null for those of the product. */
  accent: Accent | null
  /** Path of a style sheet that pages load after ours; null for none. */
  styleFile: string | null
  /** Path of a folder whose views replace ours; null for none. */
  viewsDir: string | null
  /** Links; null where there is none. */
  supportUrl: string | null
  privacyUrl: string | null
  termsUrl: string | null
  /** The version of the terms of use that people must have accepted; null when they are not asked. */
  termsVersion: string | null
}

/** What this portal asks of users, and its rate limits. */
export interface Policy {
  /** Who can create an account: everyone, those with an invitation, or operators alone. */
  registration: 'open' | 'invited' | 'closed'
  /** Whether users must have confirmed their e-mail address before they connect apps. */
  emailVerification: 'optional' | 'required'
  /** What families follow, and whether a sign-in extends their expiry, unless their app has its own. */
  familyLifetime: FamilyLifetime
  familyRenewal: FamilyRenewal
  /** Characters of a password that is the only factor, and of one that is not. */
  passwordLength: number
  passwordLengthWithSecondFactor: number
  /** A service of breached passwords that is sent the first five digits of a SHA-1; null for none. */
  passwordRangeUrl: string | null
  /** Failed attempts that cost no delay; then the first delay, which doubles, and the longest (seconds). */
  loginAttemptsBeforeDelay: number
  loginDelayMin: number
  loginDelayMax: number
  /** Failed attempts within an hour that block an IP address, 0 for never, and for how long (seconds). */
  ipBlockAfter: number
  ipBlockDuration: number
  /** Accounts that may be registered from one IP address in an hour. */
  registrationsPerHour: number
  /** Whether a sign-in link by e-mail may take the place of the password. */
  mailSignIn: boolean
  /** Other origins that may make and use the passkeys of this portal (WebAuthn related origins). */
  relatedOrigins: string[]
  /** URIs at which vulnerabilities are reported (RFC 9116), none for no `security.txt`, and the page about it. */
  securityContacts: string[]
  securityPolicyUrl: string | null
  /** The language of pages and mails for people whose own is not known. */
  defaultLocale: string
  /** How many days a browser may skip the second step once its user trusts it; 0 for never. */
  trustedBrowserDays: number
  /** Path of a MaxMind DB file (GeoIP); null for none. */
  geoipDatabase: string | null
  /** How long a signing key signs (seconds); null until an operator replaces it. */
  keyRotation: number | null
}

/** All in seconds. */
export interface Lifetimes {
  applicationToken: number
  familyIdle: number
  familyMax: number
  /** How long a family that has ended is kept. */
  familyHistory: number
  /** How long a replaced refresh token is answered with the current one. */
  rotationGrace: number
  /** The same for the immediate predecessor, from a holder that proves itself, until the current one has been presented. */
  rotationGraceProven: number
  identitySessionIdle: number
  identitySessionMax: number
  /** How long ago a person may have proved who they are when they change what protects the account. */
  freshSignIn: number
  /** The same when an administrator looks at the admin pages. */
  adminSignIn: number
  /** How long the owner of a deleted account can keep it after all. */
  deletionGrace: number
  /** How long audit events are kept; null for ever. */
  auditRetention: number | null
}

const DAY = 86_400
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])
const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128']

/**
 * Reads and checks the whole environment at once. In development a secret that is not set is made and kept, unless
 * `makeSecret` is false.
 * @throws ConfigError whose message lists every fault, one a line, and never a value.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env, { makeSecret = true } = {}): Config {
  const { given, values, faults } = withCommandedSecret(readEnvironment(env), env)
  faults.push(...faultsTogether(given), ...faultsOfBrand(values), ...faultsOfDirectory(given, values))
  if (faults.length > 0) throw wrongSettings(faults)
  return configOf(values, makeSecret ? makeDevelopmentSecret : readDevelopmentSecret)
}

/** What is wrong with settings only beside others. */
function faultsTogether(given: Given): string[] {
  const faults: string[] = []
  if (given.NODE_ENV === 'production') {
    for (const name of ['PUBLIC_URL', 'GATEHOUSE_SECRET'] as const) {
      if (given[name] === undefined) faults.push(`${name}: must be set in production`)
    }
    if (URL.parse(given.PUBLIC_URL ?? '')?.protocol === 'http:')
      faults.push('PUBLIC_URL: must begin with https:// in production')
  } else if (given.NODE_ENV !== 'test' && isPublicHttps(given.PUBLIC_URL)) {
    // Mails that open accounts would lie in a folder, and the secret beside them.
    faults.push(
      'NODE_ENV: must be production where PUBLIC_URL is the https address of a portal that others can reach; to develop, set PUBLIC_URL to http://localhost and the port instead',
    )
  }

  if (given.DATABASE_MIGRATION_URL !== undefined && !URL.parse(given.DATABASE_URL ?? '')?.username)
    faults.push('DATABASE_URL: must be set and name its role when DATABASE_MIGRATION_URL is set')
  // Any client could send these headers, and with them the certificate of any other.
  if (given.TLS_CLIENT_CERT_HEADER !== undefined && /^(false|0*)$/.test(given.TRUST_PROXY ?? ''))
    faults.push('TRUST_PROXY: must name the proxy that sets TLS_CLIENT_CERT_HEADER')
  if (given.TLS_CLIENT_VERIFY_HEADER !== undefined && given.TLS_CLIENT_CERT_HEADER === undefined)
    faults.push('TLS_CLIENT_CERT_HEADER: must be set when TLS_CLIENT_VERIFY_HEADER is set')
  for (const [one, other] of [
    ['AUDIT_WEBHOOK_URL', 'AUDIT_WEBHOOK_SECRET'],
    ['AUDIT_WEBHOOK_SECRET', 'AUDIT_WEBHOOK_URL'],
    ['IDENTITY_SOURCE_URL', 'IDENTITY_SOURCE_SECRET'],
    ['IDENTITY_SOURCE_SECRET', 'IDENTITY_SOURCE_URL'],
  ] as const)
    if (given[one] === undefined && given[other] !== undefined) faults.push(`${one}: must be set when ${other} is set`)
  if (given.TERMS_VERSION !== undefined && given.TERMS_URL === undefined)
    faults.push('TERMS_URL: must be set when TERMS_VERSION is set')
  faults.push(...faultsOfIdentitySource(given))
  return faults
}

/** Passwords go to it, and a request of it ends sign-ins. */
function faultsOfIdentitySource(given: Given): string[] {
  const url = URL.parse(given.IDENTITY_SOURCE_URL ?? '')
  if (url === null || !/^https?:$/.test(url.protocol)) return []
  const faults: string[] = []
  if (given.NODE_ENV === 'production' && url.protocol === 'http:' && !isLoopback(url.hostname))
    faults.push('IDENTITY_SOURCE_URL: must begin with https:// in production, unless it is on this machine')
  if (`${url.username}${url.password}${url.search}${url.hash}` !== '')
    faults.push('IDENTITY_SOURCE_URL: must have no user name, query or fragment')
  if (given.IDENTITY_SOURCE_SECRET !== undefined) faults.push(...faultsOfSourceSecret(given.IDENTITY_SOURCE_SECRET))
  return faults
}

/** What is wrong with the secrets of a source that signs requests, which have commas between. */
export function faultsOfSourceSecret(secrets: string): string[] {
  const isShort = secrets.split(',').some((secret) => secret.trim().length < 32)
  return isShort ? ['IDENTITY_SOURCE_SECRET: must be at least 32 characters, each of them where there are several'] : []
}

/** Passwords go to it. */
function faultsOfDirectory(given: Given, { LDAP_CA_FILE }: Values): string[] {
  const faults: string[] = []
  const url = URL.parse(given.IDENTITY_SOURCE_URL ?? '')
  const isDirectory = url !== null && /^ldaps?:$/.test(url.protocol)
  if (!isDirectory) {
    if (given.LDAP_BIND_DN !== undefined)
      faults.push('IDENTITY_SOURCE_URL: must begin with ldaps:// or ldap:// when LDAP_BIND_DN is set')
    return faults
  }
  if (given.LDAP_BIND_DN === undefined)
    faults.push('LDAP_BIND_DN: must be set where IDENTITY_SOURCE_URL is that of a directory')
  if (!/^\/.+=/.test(decodedPath(url)) || `${url.username}${url.password}${url.search}${url.hash}` !== '')
    faults.push(
      'IDENTITY_SOURCE_URL: must end with the DN below which users are, as in ldaps://directory.example.com/dc=example,dc=com',
    )
  if (url.protocol === 'ldap:' && given.LDAP_TLS === undefined && !isPrivate(url.hostname))
    faults.push('LDAP_TLS: must be starttls, or none, where IDENTITY_SOURCE_URL begins with ldap://')
  if (url.protocol === 'ldaps:' && given.LDAP_TLS !== undefined)
    faults.push('LDAP_TLS: must not be set where IDENTITY_SOURCE_URL begins with ldaps://')
  if (LDAP_CA_FILE) {
    try {
      readAuthorities(LDAP_CA_FILE)
    } catch (error) {
      faults.push(`LDAP_CA_FILE: ${(error as Error).message}`)
    }
  }
  return faults
}

/** Empty where it is not percent-encoded as it should be. */
function decodedPath({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname)
  } catch {
    return ''
  }
}

/** True for this machine and an IP address of a private network. */
function isPrivate(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '')
  return (
    isLoopback(hostname) ||
    (ipaddr.isValid(address) && /^(?:loopback|private|uniqueLocal|linkLocal)$/.test(ipaddr.process(address).range()))
  )
}

/** What is wrong with the brand, beyond how its settings are written. */
function faultsOfBrand({ LOGO_FILE, ACCENT_COLOR, STYLE_FILE, VIEWS_DIR }: Values): string[] {
  const faults: string[] = []
  const check = (name: SettingName, act: () => unknown) => {
    try {
      act()
    } catch (error) {
      faults.push(`${name}: ${(error as Error).message}`)
    }
  }
  // Null, or absent when it is wrong already.
  if (LOGO_FILE) check('LOGO_FILE', () => readLogo(LOGO_FILE))
  if (STYLE_FILE) check('STYLE_FILE', () => checkStyle(STYLE_FILE))
  if (VIEWS_DIR) check('VIEWS_DIR', () => checkViews(VIEWS_DIR))
  if (ACCENT_COLOR) check('ACCENT_COLOR', () => deriveShades(ACCENT_COLOR))
  return faults
}

/** @param keptSecret gives the root secret of development that is kept in a folder */
export function configOf(values: Values, keptSecret: (dataDir: string) => string): Config {
  const production = values.NODE_ENV === 'production'
  const dataDir = resolve(values.DATA_DIR)
  const publicUrl = values.PUBLIC_URL ?? `http://localhost:${values.PORT}`
  return {
    production,
    development: values.NODE_ENV === 'development',
    host: values.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: values.PORT,
    publicUrl,
    secrets: values.GATEHOUSE_SECRET ?? [keptSecret(dataDir)],
    databaseUrl: values.DATABASE_URL,
    migrationUrl: values.DATABASE_MIGRATION_URL,
    redisUrl: values.REDIS_URL,
    storeTimeoutMs: values.STORE_TIMEOUT_MS,
    dataDir,
    preparedStatements: values.PREPARED_STATEMENTS === 'on',
    trustProxy: values.TRUST_PROXY,
    certHeader: values.TLS_CLIENT_CERT_HEADER,
    verifyHeader: values.TLS_CLIENT_VERIFY_HEADER,
    keepAliveTimeout: values.KEEP_ALIVE_TIMEOUT,
    hstsIncludeSubdomains: values.HSTS_INCLUDE_SUBDOMAINS,
    allowedNetworks: values.ALLOWED_NETWORKS ?? (production ? [] : LOOPBACK_NETWORKS),
    workers: values.WORKERS,
    inProcessWorker: values.IN_PROCESS_WORKER,
    logLevel: values.LOG_LEVEL,
    auditStream: values.AUDIT_STREAM,
    auditWebhook: auditWebhookOf(values),
    metricsToken: values.METRICS_TOKEN,
    metricsPort: values.METRICS_PORT,
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
      adminSignIn: values.ADMIN_SIGN_IN,
      deletionGrace: values.DELETION_GRACE,
      auditRetention: values.AUDIT_RETENTION,
    },
    smtpUrl: values.SMTP_URL,
    mailFolder: production || values.SMTP_URL !== null ? null : join(dataDir, 'outbox'),
    mailFrom: values.MAIL_FROM ?? `${quoted(values.ORGANISATION_NAME)} <no-reply@${new URL(publicUrl).hostname}>`,
    policy: {
      registration: values.REGISTRATION ?? (production ? 'invited' : 'open'),
      emailVerification: values.EMAIL_VERIFICATION,
      familyLifetime: values.FAMILY_LIFETIME,
      familyRenewal: values.FAMILY_RENEWAL,
      passwordLength: values.PASSWORD_LENGTH,
      passwordLengthWithSecondFactor: values.PASSWORD_LENGTH_WITH_SECOND_FACTOR,
      passwordRangeUrl: values.PASSWORD_RANGE_URL,
      loginAttemptsBeforeDelay: values.LOGIN_ATTEMPTS_BEFORE_DELAY,
      loginDelayMin: values.LOGIN_DELAY_MIN,
      loginDelayMax: values.LOGIN_DELAY_MAX,
      ipBlockAfter: values.IP_BLOCK_AFTER,
      ipBlockDuration: values.IP_BLOCK_DURATION,
      registrationsPerHour: values.REGISTRATIONS_PER_HOUR,
      mailSignIn: values.MAIL_SIGN_IN,
      relatedOrigins: values.WEBAUTHN_RELATED_ORIGINS ?? [],
      securityContacts: values.SECURITY_CONTACT ?? [],
      securityPolicyUrl: values.SECURITY_POLICY_URL,
      defaultLocale: values.DEFAULT_LOCALE,
      trustedBrowserDays: values.TRUSTED_BROWSER_DAYS,
      geoipDatabase: values.GEOIP_DATABASE,
      keyRotation: values.KEY_ROTATION,
    },
    brand: {
      name: values.ORGANISATION_NAME,
      logo: values.LOGO_FILE === null ? null : readLogo(values.LOGO_FILE),
      accent: values.ACCENT_COLOR === null ? null : deriveShades(values.ACCENT_COLOR),
      styleFile: values.STYLE_FILE === null ? null : resolve(values.STYLE_FILE),
      viewsDir: values.VIEWS_DIR === null ? null : resolve(values.VIEWS_DIR),
      supportUrl: values.SUPPORT_URL,
      privacyUrl: values.PRIVACY_URL,
      termsUrl: values.TERMS_URL,
      termsVersion: values.TERMS_VERSION,
    },
    identitySource: identitySourceOf(values),
  }
}

function identitySourceOf(values: Values): Config['identitySource'] {
  const { IDENTITY_SOURCE_URL: url, IDENTITY_SOURCE_SECRET: secret, IDENTITY_SOURCE_STATUS_TTL: statusTtl } = values
  const ldap = ldapOf(values)
  return url === null || secret === null ? null : { url, secret, statusTtl, ldap }
}

function ldapOf(values: Values): LdapConfig | null {
  const { LDAP_BIND_DN: bindDn, LDAP_CA_FILE: caFile } = values
  const choices = {
    userFilter: values.LDAP_USER_FILTER,
    idAttribute: values.LDAP_ID_ATTRIBUTE,
    attributes: values.LDAP_ATTRIBUTES ?? {},
    roleGroups: values.LDAP_ROLE_GROUPS ?? [],
    startsTls: values.LDAP_TLS === 'starttls',
    setsPasswords: values.LDAP_SET_PASSWORDS,
  }
  return bindDn === null ? null : { bindDn, ca: caFile === null ? null : readAuthorities(caFile), ...choices }
}

function auditWebhookOf({ AUDIT_WEBHOOK_URL: url, AUDIT_WEBHOOK_SECRET: secret }: Values): Config['auditWebhook'] {
  return url === null || secret === null ? null : { url, secret }
}

/** A name in front of an address: quoted where a character in it has a meaning there (RFC 5322 §3.2.4). */
function quoted(name: string): string {
  return /[^\p{L}\p{M}\p{N} '&.-]/u.test(name) ? `"${name.replaceAll(/["\\]/g, '\\$&')}"` : name
}

/** True for an https origin that is not on this machine. */
function isPublicHttps(value = ''): boolean {
  const url = URL.parse(value)
  return url?.protocol === 'https:' && isOrigin(value) && !isLoopback(url.hostname)
}

/** True for an address that only this machine can reach, where plain http is safe (`*.localhost`: RFC 6761 §6.3). */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.has(hostname) || hostname.endsWith('.localhost')
}
