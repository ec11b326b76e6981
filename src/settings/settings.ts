import { hexColor, label } from './brand-values.ts'
import { attributeMapping, attributeName, roleGroups, userFilter } from './directory.ts'
import { FAMILY_LIFETIMES, FAMILY_RENEWALS } from './family-policies.ts'
import { language } from './languages.ts'
import { networks, trustedProxies } from './networks.ts'
import { rootSecrets } from './root-secrets.ts'
import { sender } from './sender.ts'
import { setting } from './setting.ts'
import { contacts, contactUrl, origin, passkeyOrigins, redisUrls, url, urlWithPassword, webUrl } from './urls.ts'
import { webhookSecret } from './webhook-secret.ts'
import {
  bearerToken,
  choice,
  count,
  flag,
  headerName,
  milliseconds,
  orOff,
  port,
  seconds,
  text,
} from './value-types.ts'
import { workerCount } from './worker-count.ts'

const DAY = 86_400
const TEN_YEARS = 3650 * DAY

const basics = {
  NODE_ENV: setting({
    type: choice('production', 'development', 'test'),
    default: 'development',
    meaning:
      '`production` switches off every development convenience. It must be set where `PUBLIC_URL` is an https address that others can reach; the portal refuses to start there without it.',
    example: 'production',
  }),
  PUBLIC_URL: setting({
    type: origin(),
    default: null,
    defaultInWords: '`http://localhost` and `PORT`; must be set in production, with https',
    meaning: 'The address that people type. It is the issuer of all tokens. Requests for another host are refused.',
    example: 'https://id.example.com',
  }),
  GATEHOUSE_SECRET: setting({
    type: rootSecrets(),
    default: null,
    defaultInWords: 'made once and kept in `DATA_DIR`; must be set in production',
    meaning:
      'The root secret, from which every key is derived. Make one with `openssl rand -base64 48`. To rotate it, set `new,old`: the first secret signs, all of them verify ([in four steps](keys.md#rotate-the-root-secret)).',
    example: '',
    isSecret: true,
  }),
  GATEHOUSE_SECRET_COMMAND: setting({
    type: text('a command line for the shell'),
    default: null,
    defaultInWords: 'none; `GATEHOUSE_SECRET` is the secret itself',
    meaning:
      'A command that prints the root secret, in place of `GATEHOUSE_SECRET`: from a KMS or a vault. Several secrets stand on lines of their own, or have commas between. Every process runs it once at its start, within 30 seconds.',
    example: 'sops --decrypt --extract \'["gatehouse_secret"]\' secrets.yaml',
  }),
  KEY_ROTATION: setting({
    type: orOff(seconds(3600, 365 * DAY)),
    default: String(90 * DAY),
    meaning:
      'How long a signing key signs before it is replaced. The next one is published 15 minutes earlier, and the tokens of the old one stay valid until they expire. `off` leaves rotation to `gatehouse keys rotate`, for APIs that were given a copy of the keys.',
    example: '30d',
  }),
  HOST: setting({
    type: text('an IP address or a host name'),
    default: null,
    defaultInWords: '`127.0.0.1`; `0.0.0.0` in production',
    meaning: 'The address on which the portal listens.',
    example: '0.0.0.0',
  }),
  PORT: setting({
    type: port(),
    default: '3000',
    meaning: 'The port on which the portal listens.',
    example: '8080',
  }),
  DATA_DIR: setting({
    type: text('a folder'),
    default: './data',
    meaning: 'The folder of the embedded database, of the root secret of development, and of mails in development.',
    example: '/var/lib/gatehouse',
  }),
  ENV_FILE: setting({
    type: text('the path of a file'),
    default: null,
    defaultInWords: 'in development `.env` in the current folder, where there is one; else none',
    meaning:
      'A file of settings that `gatehouse` reads before anything else. Set it in the environment itself. What the environment says takes precedence over the file.',
    example: '/etc/gatehouse.env',
  }),
  LOG_LEVEL: setting({
    type: choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    default: 'info',
    meaning: 'The least severe level that is logged. Logs are JSON lines on standard output.',
    example: 'warn',
  }),
  AUDIT_STREAM: setting({
    type: choice('off', 'stdout'),
    default: 'off',
    meaning:
      '`stdout`: every [audit event](audit.md#send-it-to-a-siem) is also a line of the log, with `"type":"audit"`, whatever `LOG_LEVEL` is.',
    example: 'stdout',
  }),
  AUDIT_WEBHOOK_URL: setting({
    type: webUrl(),
    default: null,
    defaultInWords: 'audit events are sent nowhere',
    meaning:
      'Where every [audit event](audit.md#send-it-to-a-siem) is sent, in order, until it is taken. Without https only an address in a private network is used, and cloud metadata endpoints never are.',
    example: 'https://siem.example.com/gatehouse',
  }),
  AUDIT_WEBHOOK_SECRET: setting({
    type: webhookSecret(),
    default: null,
    defaultInWords: 'none; must be set with `AUDIT_WEBHOOK_URL`',
    meaning:
      'The key with which the requests to `AUDIT_WEBHOOK_URL` are signed ([Standard Webhooks](https://www.standardwebhooks.com)). Make one with `openssl rand -base64 32`.',
    example: '',
    isSecret: true,
  }),
}

const network = {
  TRUST_PROXY: setting({
    type: trustedProxies(),
    default: 'false',
    meaning:
      'The proxies whose `X-Forwarded-For` is believed (Express’ “trust proxy”). Behind a proxy it must be right, or all clients count as one IP address.',
    example: '1',
  }),
  TLS_CLIENT_CERT_HEADER: setting({
    type: headerName(),
    default: null,
    defaultInWords: 'none: certificates of clients are not used',
    meaning:
      'The header in which the proxy passes on the certificate of a client (mutual TLS, RFC 8705): a percent-encoded PEM, as nginx’ `$ssl_client_escaped_cert`, or `Client-Cert` (RFC 9440). It is believed only from the proxies of `TRUST_PROXY`, which must be set. The proxy must set it on every request.',
    example: 'X-SSL-Client-Cert',
  }),
  TLS_CLIENT_VERIFY_HEADER: setting({
    type: headerName(),
    default: null,
    defaultInWords: 'none: no chain counts as verified, and `tls_client_auth` is refused',
    meaning:
      'The header that says `SUCCESS` when the proxy has verified the chain of the client’s certificate, as nginx’ `$ssl_client_verify`.',
    example: 'X-SSL-Client-Verify',
  }),
  KEEP_ALIVE_TIMEOUT: setting({
    type: seconds(1, DAY),
    // Longer than any common proxy keeps an idle connection (Google Cloud: 600 s), or it reuses one that is just being closed.
    default: '620',
    meaning:
      'How long a connection may be idle before the portal closes it. It must be longer than the proxy in front keeps idle connections.',
    example: '75',
  }),
  HSTS_INCLUDE_SUBDOMAINS: setting({
    type: flag(),
    default: 'false',
    meaning:
      '`true`: with https, browsers also use https for every subdomain of the host of `PUBLIC_URL` (HSTS, RFC 6797).',
    example: 'true',
  }),
  ALLOWED_NETWORKS: setting({
    type: networks(),
    default: null,
    defaultInWords: 'none; loopback addresses outside production',
    meaning:
      'Private networks to which back-channel notifications may be sent, also without TLS. The SSRF guard refuses all other private addresses.',
    example: '10.0.0.0/8,fd00::/8',
  }),
}

const stores = {
  DATABASE_URL: setting({
    type: urlWithPassword('postgresql', 'postgres'),
    default: null,
    defaultInWords: 'an embedded PostgreSQL in `DATA_DIR`',
    meaning: 'The database: PostgreSQL 15 or newer.',
    example: 'postgresql://gatehouse:password@db.example.com/gatehouse',
    isSecret: true,
  }),
  DATABASE_MIGRATION_URL: setting({
    type: urlWithPassword('postgresql', 'postgres'),
    default: null,
    defaultInWords: 'migrations run with `DATABASE_URL`',
    meaning:
      'The same database for the owner of its tables. Migrations run as this role. Set it where the role of `DATABASE_URL` may change neither the tables nor the audit log.',
    example: 'postgresql://gatehouse_owner:password@db.example.com/gatehouse',
    isSecret: true,
  }),
  PREPARED_STATEMENTS: setting({
    type: choice('on', 'off'),
    default: 'on',
    meaning:
      '`off` is for a connection pooler in transaction mode that loses prepared statements, such as PgBouncer before 1.21.',
    example: 'off',
  }),
  REDIS_URL: setting({
    type: redisUrls(),
    default: null,
    defaultInWords: 'short-lived records and counters are in PostgreSQL',
    meaning: 'Redis for browser sessions, protocol records and counters of attempts.',
    example: 'redis://localhost:6379',
    isSecret: true,
  }),
  STORE_TIMEOUT_MS: setting({
    type: milliseconds(100, 600_000),
    default: '1500',
    meaning:
      'How long the database may take for a connection or a query. After that the answer is 503 with `Retry-After`.',
    example: '3000',
    aliases: ['STORE_PATIENCE'],
  }),
}

const processes = {
  WORKERS: setting({
    type: workerCount(),
    default: '1',
    meaning: 'How many processes share the port. Each may hold ten database connections.',
    example: 'auto',
  }),
  IN_PROCESS_WORKER: setting({
    type: flag(),
    default: 'true',
    meaning:
      '`false`: processes that serve requests run no periodic jobs and send neither mail nor back-channel notifications. `gatehouse worker` must then run beside them.',
    example: 'false',
  }),
}

const metrics = {
  METRICS_TOKEN: setting({
    type: bearerToken(),
    default: null,
    defaultInWords: 'none: only this machine gets `/metrics`',
    meaning:
      'The bearer token with which other machines get [`/metrics`](metrics.md). Make one with `openssl rand -base64 32`. Without it, the page does not exist for them.',
    example: '',
    isSecret: true,
  }),
  METRICS_PORT: setting({
    type: port(),
    default: null,
    defaultInWords: 'none: `gatehouse worker` opens no port',
    meaning:
      'The port on which `gatehouse worker` answers [`/metrics`](metrics.md), at `HOST`. A portal that serves answers it at `PORT`.',
    example: '9464',
  }),
}

const languages = {
  DEFAULT_LOCALE: setting({
    type: language(),
    default: 'en',
    meaning: 'The language of pages and mails for people whose own is not known.',
    example: 'de',
  }),
}

const mail = {
  SMTP_URL: setting({
    type: urlWithPassword('smtp', 'smtps'),
    default: null,
    defaultInWords:
      'in development, mails are files in `DATA_DIR/outbox`, which browsers on the same machine read at `/dev/outbox`; in production no mail is sent',
    meaning: 'The server that takes outgoing mail. `smtp://` on port 587 uses STARTTLS.',
    example: 'smtps://user:password@mail.example.com',
    isSecret: true,
  }),
  MAIL_FROM: setting({
    type: sender(),
    default: null,
    defaultInWords: '`ORGANISATION_NAME` and `no-reply@…` at the host of `PUBLIC_URL`',
    meaning: 'The sender of outgoing mail.',
    example: 'Gatehouse <no-reply@example.com>',
  }),
}

const contact = {
  SECURITY_CONTACT: setting({
    type: contacts(),
    default: null,
    defaultInWords: 'none; there is no `security.txt`',
    meaning: 'Where people report vulnerabilities. It is published at `/.well-known/security.txt` (RFC 9116).',
    example: 'security@example.com',
  }),
  SECURITY_POLICY_URL: setting({
    type: url('https'),
    default: null,
    defaultInWords: 'none',
    meaning: 'The page about how you handle reports of vulnerabilities, for `security.txt`.',
    example: 'https://example.com/security',
  }),
}

const branding = {
  ORGANISATION_NAME: setting({
    type: label(60),
    default: 'Gatehouse',
    meaning:
      'The name that pages, mails, authenticator apps and passkeys show: the organisation, or what it calls this portal.',
    example: 'Example Ltd',
  }),
  LOGO_FILE: setting({
    type: text('the path of a file'),
    default: null,
    defaultInWords: 'the logo of Gatehouse',
    meaning: 'The logo in the header of pages, also used as their icon: an SVG, PNG or WebP file of at most 256 kB.',
    example: '/etc/gatehouse/logo.svg',
  }),
  ACCENT_COLOR: setting({
    type: hexColor(),
    default: null,
    defaultInWords: 'green',
    meaning:
      'The colour of buttons and links. The shades of the light and the dark theme are made from it, with a contrast of at least 4.5:1 (WCAG 2).',
    example: '#1d4ed8',
  }),
  STYLE_FILE: setting({
    type: text('the path of a file'),
    default: null,
    defaultInWords: 'none',
    meaning:
      'A style sheet (CSS) that pages load after that of the portal. It cannot load anything from other servers. [Branding](branding.md) says what it can rely on.',
    example: '/etc/gatehouse/style.css',
  }),
  VIEWS_DIR: setting({
    type: text('the path of a folder'),
    default: null,
    defaultInWords: 'none',
    meaning:
      'A folder of page templates (EJS) that replace those of the portal with the same name. Templates are code: they run in the portal. See [branding](branding.md#templates-of-your-own).',
    example: '/etc/gatehouse/views',
  }),
  SUPPORT_URL: setting({
    type: contactUrl(),
    default: null,
    defaultInWords: 'none; pages link to no support',
    meaning: 'Where people get help. The footer and error pages link to it.',
    example: 'https://example.com/support',
  }),
  PRIVACY_URL: setting({
    type: webUrl(),
    default: null,
    defaultInWords: 'none; pages link to no privacy notice',
    meaning: 'The privacy notice. The footer and the registration form link to it.',
    example: 'https://example.com/privacy',
  }),
  TERMS_URL: setting({
    type: webUrl(),
    default: null,
    defaultInWords: 'none; pages link to no terms of use',
    meaning: 'The terms of use. The footer and the registration form link to them.',
    example: 'https://example.com/terms',
  }),
  TERMS_VERSION: setting({
    type: label(40),
    default: null,
    defaultInWords: 'none; people are not asked to accept the terms of use',
    meaning:
      'The version of the terms of use. When it is set, people must accept them to register, and again after their next sign-in when the version has changed. `TERMS_URL` must then be set.',
    example: '2026-12-01',
  }),
}

const lifetimes = {
  APPLICATION_TOKEN_TTL: setting({
    type: seconds(10, 3600),
    default: '300',
    meaning:
      'How long an application token (the OAuth access token, an RFC 9068 JWT) is valid. It can be set for one app: `app create|update --application-token-ttl`.',
    example: '600',
  }),
  FAMILY_IDLE: setting({
    type: seconds(10, TEN_YEARS),
    default: String(30 * DAY),
    meaning: 'How long a family may go without a refresh before it expires. It can be set for one app.',
    example: '604800',
  }),
  FAMILY_MAX: setting({
    type: seconds(10, TEN_YEARS),
    default: String(90 * DAY),
    meaning: 'How long a family lasts at most, however often it is refreshed. It can be set for one app.',
    example: '2592000',
  }),
  FAMILY_LIFETIME: setting({
    type: choice(...FAMILY_LIFETIMES),
    default: 'browser',
    meaning:
      'What a family follows. `session`: the sign-in of its browser, so that they expire together. `browser`: signing out of the browser ends it. `offline`: it outlasts both. It can be set for one app. There is a [table](sessions-and-families.md#how-long-a-family-lasts) of what ends which.',
    example: 'session',
  }),
  FAMILY_RENEWAL: setting({
    type: choice(...FAMILY_RENEWALS),
    default: 'never',
    meaning:
      '`sign-in`: a sign-in in the same browser extends the expiry of its families. It can be set for one app. Families that follow `session` are always extended.',
    example: 'sign-in',
  }),
  FAMILY_HISTORY: setting({
    type: seconds(3600, TEN_YEARS),
    default: String(90 * DAY),
    meaning:
      'How long a family that has ended is kept and listed on the dashboard. The activity page keeps its events for longer.',
    example: '2592000',
  }),
  AUDIT_RETENTION: setting({
    type: seconds(DAY, TEN_YEARS),
    default: null,
    defaultInWords: 'audit events are kept for ever',
    meaning:
      'How long [audit events](audit.md#retention) are kept. Older ones are deleted, and are then missing on the activity page, too. With two [database roles](operations.md#database-roles) a change holds after the next `gatehouse migrate`.',
    example: '31536000',
  }),
  ROTATION_GRACE: setting({
    type: seconds(0, 300),
    default: '30',
    meaning:
      'How long a refresh token that was replaced still gets the current one, counted from its own replacement. After that, using it is reuse and ends the family. It can be set for one app.',
    example: '10',
  }),
  ROTATION_GRACE_PROVEN: setting({
    type: seconds(0, 90 * DAY),
    default: null,
    defaultInWords: '604800; 0 where `ROTATION_GRACE` is 0',
    meaning:
      'The same for the immediate predecessor of a refresh token that was never used, from an app that authenticates or that proves possession of a key (DPoP, RFC 9449). It can be set for one app.',
    example: '86400',
  }),
  IDENTITY_SESSION_IDLE: setting({
    type: seconds(10, 400 * DAY),
    default: String(14 * DAY),
    meaning: 'How long a browser stays signed in without being used.',
    example: '604800',
  }),
  IDENTITY_SESSION_MAX: setting({
    type: seconds(10, 400 * DAY),
    default: String(90 * DAY),
    meaning: 'How long a browser stays signed in at most.',
    example: '2592000',
  }),
}

const accounts = {
  REGISTRATION: setting({
    type: choice('open', 'invited', 'closed'),
    default: null,
    defaultInWords: '`open`; `invited` in production',
    meaning:
      'Who can create an account. `open`: everyone, or those with an e-mail address in the domains of `gatehouse registration update`. `invited`: those who have an invitation. `closed`: operators create all accounts, and no page mentions registering.',
    example: 'closed',
  }),
  EMAIL_VERIFICATION: setting({
    type: choice('optional', 'required'),
    default: 'optional',
    meaning: '`required`: people must confirm their e-mail address before they can connect an app.',
    example: 'required',
  }),
  PASSWORD_LENGTH: setting({
    type: count(8, 64),
    default: '15',
    meaning: 'How many characters a password must have where it is the only factor.',
    example: '12',
  }),
  PASSWORD_LENGTH_WITH_SECOND_FACTOR: setting({
    type: count(8, 64),
    default: '8',
    meaning: 'How many characters a password must have where the account has a second factor.',
    example: '10',
  }),
  PASSWORD_RANGE_URL: setting({
    type: webUrl(),
    default: null,
    defaultInWords: 'only the list of breached passwords that comes with the portal',
    meaning:
      'A service of breached passwords with the range API of Have I Been Pwned. It is sent the first five of the forty hexadecimal digits of the SHA-1 of a new password.',
    example: 'https://api.pwnedpasswords.com/range',
  }),
  FRESH_SIGN_IN: setting({
    type: seconds(10, DAY),
    default: '600',
    meaning:
      'How recently a person must have proved who they are to change what protects the account. After that the page asks for the password or a passkey again.',
    example: '300',
  }),
  ADMIN_SIGN_IN: setting({
    type: seconds(10, DAY),
    default: '3600',
    meaning:
      'How recently an administrator must have signed in, with a second factor, to look at the admin pages. A change there needs `FRESH_SIGN_IN`.',
    example: '28800',
  }),
  MAIL_SIGN_IN: setting({
    type: flag(),
    default: 'false',
    meaning:
      '`true`: people can have a sign-in link sent to their e-mail address, in place of the password. The link works once, for ten minutes, in the browser that asked for it. Two-step verification still follows.',
    example: 'true',
  }),
  WEBAUTHN_RELATED_ORIGINS: setting({
    type: passkeyOrigins(),
    default: null,
    defaultInWords: 'none',
    meaning:
      'Other origins that may make and use the passkeys of this portal (WebAuthn related origin requests). Those with https are published at `/.well-known/webauthn`, of which browsers accept up to five different domains. An Android app reports its signing certificate as its origin.',
    example: 'https://example.org,https://example.net',
  }),
  TRUSTED_BROWSER_DAYS: setting({
    type: count(0, 365),
    default: '30',
    meaning:
      'For how many days a person can skip the second step in a browser (“Trust this browser”). 0: never, also in browsers that are trusted already. Accounts with the role `admin` or `support` are always asked.',
    example: '7',
  }),
  DELETION_GRACE: setting({
    type: seconds(0, 365 * DAY),
    default: String(14 * DAY),
    meaning: 'How long a deleted account can be kept by signing in again. Then it is erased.',
    example: '604800',
  }),
  REGISTRATIONS_PER_HOUR: setting({
    type: count(1, 1_000_000),
    default: '60',
    meaning: 'How many accounts can be registered from one IP address (IPv6: its /64) in an hour.',
    example: '10',
  }),
  GEOIP_DATABASE: setting({
    type: text('the path of a file'),
    default: null,
    defaultInWords: 'none; pages and mails name IP addresses without a place',
    meaning:
      'A MaxMind DB file (`.mmdb`) of cities or countries. Pages and mails then say roughly where an IP address is. Each process reads the whole file into memory when it starts, and sends nothing over the network.',
    example: '/var/lib/gatehouse/city.mmdb',
    aliases: ['PLACE_DATABASE'],
  }),
}

const identitySource = {
  IDENTITY_SOURCE_URL: setting({
    type: url('https', 'http', 'ldaps', 'ldap'),
    default: null,
    defaultInWords: 'none; all accounts are in the database of the portal',
    meaning:
      'A service of the organisation in which users live: one that speaks the [protocol of the portal](identity-source.md) (`https://`, or `http://` on this machine), or an LDAP directory (`ldaps://`, `ldap://`). Accounts that are in the database stay beside it.',
    example: 'https://users.example.com/identity-source',
  }),
  IDENTITY_SOURCE_SECRET: setting({
    type: text('at least 32 characters; for a directory, the password of the portal there'),
    default: null,
    defaultInWords: 'none; must be set where `IDENTITY_SOURCE_URL` is',
    meaning:
      'The key that the portal and that service share, with which each signs what it sends the other (RFC 9421). Make one with `openssl rand -base64 48`. While it is [replaced](identity-source-protocol.md#signatures) there are several, with commas between.',
    example: '',
    isSecret: true,
  }),
  IDENTITY_SOURCE_STATUS_TTL: setting({
    type: seconds(1, DAY),
    default: '60',
    meaning:
      'How long a user who was disabled or removed there may stay signed in here, at most, while that service answers. It can also [say so at once](identity-source.md).',
    example: '5m',
  }),
}

const directory = {
  LDAP_BIND_DN: setting({
    type: text('a DN'),
    default: null,
    defaultInWords: 'none; must be set where `IDENTITY_SOURCE_URL` is that of a directory',
    meaning:
      'The account with which the portal [searches the directory](identity-source.md#ldap-and-active-directory). Its password is `IDENTITY_SOURCE_SECRET`.',
    example: 'cn=gatehouse,ou=services,dc=example,dc=com',
  }),
  LDAP_TLS: setting({
    type: choice('starttls', 'none'),
    default: null,
    defaultInWords: 'as the scheme of `IDENTITY_SOURCE_URL` says; `ldap://` is then for a private IP address alone',
    meaning:
      'For `ldap://`: `starttls` upgrades the connection before anything is sent, and `none` lets passwords travel as they are, for a network that is protected otherwise.',
    example: 'starttls',
  }),
  LDAP_CA_FILE: setting({
    type: text('the path of a file'),
    default: null,
    defaultInWords: 'the authorities that Node.js trusts',
    meaning: 'Certificates (PEM) of the authorities that are trusted for the directory, in place of the usual ones.',
    example: '/etc/gatehouse/directory-ca.pem',
  }),
  LDAP_USER_FILTER: setting({
    type: userFilter(),
    default: null,
    defaultInWords:
      '`(&(objectClass=person)(|(uid={login})(mail={login})))`; in Active Directory `sAMAccountName`, `userPrincipalName` and `mail`',
    meaning: 'Who may sign in, and by what. A user whom it no longer finds is signed out.',
    example: '(&(uid={login})(memberOf=cn=staff,ou=groups,dc=example,dc=com))',
  }),
  LDAP_ID_ATTRIBUTE: setting({
    type: attributeName(),
    default: null,
    defaultInWords: '`entryUUID`; `objectGUID` in Active Directory, `nsUniqueId` in 389 Directory Server',
    meaning:
      'The attribute that never changes and is never given to someone else. Changing this setting makes every user a new one.',
    example: 'ipaUniqueID',
  }),
  LDAP_ATTRIBUTES: setting({
    type: attributeMapping(),
    default: null,
    defaultInWords: '[the usual ones](identity-source.md#ldap-and-active-directory)',
    meaning: 'In which attributes the `username`, the `email` and the claims of a user are, where these are others.',
    example: 'email=userPrincipalName, nickname=cn',
  }),
  LDAP_ROLE_GROUPS: setting({
    type: roleGroups(),
    default: null,
    defaultInWords: 'groups give no roles',
    meaning: 'The roles that the members of a group have.',
    example: 'editor=cn=editors,ou=groups,dc=example,dc=com; auditor=cn=audit,ou=groups,dc=example,dc=com',
  }),
  LDAP_SET_PASSWORDS: setting({
    type: flag(),
    default: 'false',
    meaning:
      'Whether users may change their password in the directory here. The account of the portal needs the right to.',
    example: 'true',
  }),
}

const throttling = {
  LOGIN_ATTEMPTS_BEFORE_DELAY: setting({
    type: count(1, 100),
    default: '5',
    meaning:
      'How many attempts at one account from one IP address may fail without a delay. Four times as many may fail at one account from all IP addresses together, and twenty times as many from one IP address at all accounts together.',
    example: '3',
    aliases: ['FREE_GUESSES'],
  }),
  LOGIN_DELAY_MIN: setting({
    type: seconds(1, DAY),
    default: '1',
    meaning: 'The delay before the first attempt that has to wait. It doubles with each further attempt.',
    example: '5',
    aliases: ['FIRST_GUESS_DELAY'],
  }),
  LOGIN_DELAY_MAX: setting({
    type: seconds(1, DAY),
    default: '900',
    meaning: 'The longest delay before an attempt.',
    example: '3600',
    aliases: ['LONGEST_GUESS_DELAY'],
  }),
  IP_BLOCK_AFTER: setting({
    type: count(0, 1_000_000),
    default: '100',
    meaning: 'How many failed attempts within an hour block an IP address (IPv6: its /64). 0: never.',
    example: '50',
    aliases: ['SUSPENSION_AFTER'],
  }),
  IP_BLOCK_DURATION: setting({
    type: seconds(1, 30 * DAY),
    default: '900',
    meaning: 'How long an IP address stays blocked.',
    example: '3600',
    aliases: ['SUSPENSION'],
  }),
}

const commands = {
  GATEHOUSE_URL: setting({
    type: origin(),
    default: null,
    defaultInWords: 'none: commands work on the portal of this machine',
    meaning:
      'The `PUBLIC_URL` of a portal that commands administer from another machine, through its admin API. It begins with https, or with http on loopback. See [commands from another machine](operations.md#commands-from-another-machine).',
    example: 'https://id.example.com',
  }),
  GATEHOUSE_CLIENT_ID: setting({
    type: text('the client id of a service'),
    default: null,
    defaultInWords: 'none; must be set where `GATEHOUSE_URL` is',
    meaning: 'The app in whose name commands administer that portal.',
    example: 'operator-cli',
  }),
  GATEHOUSE_CLIENT_SECRET: setting({
    type: text('the secret of the service'),
    default: null,
    defaultInWords: 'none; must be set where `GATEHOUSE_URL` is',
    meaning: 'The secret of that app.',
    example: '',
    isSecret: true,
  }),
  GATEHOUSE_EXPORT_PASSPHRASE: setting({
    type: text('a passphrase of at least 12 characters'),
    default: null,
    defaultInWords: 'none; must be set for these commands',
    meaning:
      'The passphrase of the file of `gatehouse export` and `gatehouse import`. See [moving to another machine](moving.md#moving-to-another-machine). The portal itself does not read it.',
    example: '',
    isSecret: true,
  }),
}

/** Every setting there is. What reads an environment, `.env.example` and `docs/configuration.md` are made from this table. */
export const SETTINGS = {
  ...basics,
  ...network,
  ...stores,
  ...processes,
  ...metrics,
  ...mail,
  ...contact,
  ...branding,
  ...languages,
  ...lifetimes,
  ...accounts,
  ...identitySource,
  ...directory,
  ...throttling,
  ...commands,
}

export type SettingName = keyof typeof SETTINGS

/** The same settings under the headings of `docs/configuration.md`. */
export const SECTIONS = {
  Basics: basics,
  Network: network,
  Stores: stores,
  Processes: processes,
  Metrics: metrics,
  Mail: mail,
  'Security contact': contact,
  Branding: branding,
  Languages: languages,
  Lifetimes: lifetimes,
  Accounts: accounts,
  'Identity source': identitySource,
  'LDAP directory': directory,
  'Login throttling': throttling,
  'Commands from another machine': commands,
}
