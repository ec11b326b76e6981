// Runs in a process of its own: it changes which certificates are trusted.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import pg from 'pg'
import { Redis } from 'ioredis'
import { type Config, readConfig } from '../config.ts'
import { createApp } from '../domain/apps/apps.ts'
import type { Checkup, FindingCode } from '../domain/findings.ts'
import { createLogger } from '../logger.ts'
import { startServer } from '../main/server.ts'
import { closeServices, openServices } from '../main/services.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { type Mailbox, startMailbox } from '../testing/mail/mailbox.ts'
import { type Authority, type Certificate, createAuthority } from '../testing/network/authority.ts'
import { createOwnedDatabase, type OwnedDatabase } from '../testing/portal/databases.ts'
import { gatehouse, type Running, startGatehouse } from '../testing/portal/gatehouse.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { serviceAddress } from '../testing/services/addresses.ts'
import { findNginx, type Nginx, startNginx } from '../testing/services/nginx.ts'
import { startPgbouncer } from '../testing/services/pgbouncer.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'
import { examineHere, examineSettings } from './here.ts'

const SECRET = 'q7Zr0XkVw3mTn9BsL5hJc8YdPf2GaRe6UoNi4WxKvQzM1tSb'
const PASSWORD = 'mail-password-9Q'

let folder: TemporaryFolder
let database: OwnedDatabase
let authority: Authority
let certificate: Certificate
let mailbox: Mailbox
let apps: Server
let program: string
let nginx: Nginx
let portal: Running
let port: number
/** The settings of a portal with which nothing is wrong. */
let clean: Record<string, string>
let appPort: number

before(async () => {
  folder = await makeTemporaryFolder('doctor')
  ;[database, authority, program] = await Promise.all([createOwnedDatabase(), createAuthority(), findNginx()])
  setDefaultCACertificates([...getCACertificates('default'), authority.cert])
  certificate = await authority.issue('localhost')
  mailbox = await startMailbox({ credentials: { user: 'portal', password: PASSWORD }, offersTls: true, certificate })
  apps = createServer((req, res) => res.writeHead(req.url === '/gone' ? 404 : 400).end())
  apps.listen(0, '127.0.0.1')
  await once(apps, 'listening')
  appPort = (apps.address() as AddressInfo).port
  port = await findFreePort()
  nginx = await startProxy()
  const secretFile = join(folder.path, 'secret')
  await writeFile(secretFile, SECRET, { mode: 0o600 })
  clean = {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_URL: `https://localhost:${nginx.httpsPort}`,
    TRUST_PROXY: '1',
    GATEHOUSE_SECRET_FILE: secretFile,
    DATABASE_URL: database.portalUrl,
    DATABASE_MIGRATION_URL: database.ownerUrl,
    REDIS_URL: `${serviceAddress('TEST_REDIS_URL')}?keyPrefix=doctor:`,
    SMTP_URL: mailbox.url.replace('127.0.0.1', 'localhost'),
    ALLOWED_NETWORKS: '127.0.0.0/8',
    DATA_DIR: folder.path,
    KEY_ROTATION: 'off',
    LOG_LEVEL: 'warn',
    STORE_TIMEOUT_MS: '15000',
  }
  portal = startGatehouse(['serve'], { ...clean, NODE_EXTRA_CA_CERTS: authority.file })
  await portal.says('Gatehouse is ready at ')
  await addNotes()
})
after(async () => {
  portal.child.kill('SIGTERM')
  await portal.finished
  await Promise.all([nginx.stop(), mailbox.stop()])
  apps.close()
  await Promise.all([database.drop(), authority.remove(), folder.remove()])
})

const PORTAL = 'proxy_pass http://portal;'
const TO_PORTAL = `${PORTAL} proxy_set_header Host $http_host;`
const ADDRESS = 'proxy_set_header X-Forwarded-For $remote_addr;'
const APPENDED = 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;'

/** nginx in front of a portal. */
async function startProxy(
  location = `${TO_PORTAL} ${ADDRESS}`,
  {
    tls = '',
    shown = certificate,
    upstreamPort = port,
  }: { tls?: string; shown?: Certificate; upstreamPort?: number } = {},
): Promise<Nginx> {
  const configuration = `upstream portal {
  server 127.0.0.1:${upstreamPort};
}
server {
  listen 80;
  return 301 https://$host$request_uri;
}
server {
  listen 443 ssl;
  ssl_certificate x;
  ssl_certificate_key x;
  ${tls}
  location / {
    ${location}
  }
}`
  const ports = nginx === undefined ? {} : { ports: { httpPort: nginx.httpPort, httpsPort: nginx.httpsPort } }
  const { cert, key } = shown
  return startNginx(program, { configuration, certificate: cert, key, locations: '', upstreams: {}, ...ports })
}

async function addNotes(): Promise<void> {
  const services = await openServices(readConfig(clean), createLogger('silent'))
  try {
    await createApp(services, 'notes', {
      ...notesApp,
      redirectUris: ['http://127.0.0.1:4001/callback'],
      postLogoutRedirectUris: [],
      backchannelLogoutUri: `http://127.0.0.1:${appPort}/logout`,
      homeUri: `http://127.0.0.1:${appPort}/`,
    })
  } finally {
    await closeServices(services)
  }
}

async function examineWith(env: Record<string, string | undefined>, clock?: () => Date): Promise<Checkup> {
  const settings = { ...clean, ...env }
  const config = examineSettings(settings)
  return 'checked' in config ? config : examineHere(config, settings, clock)
}

async function asOwner(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.ownerUrl })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

/** Undoes something whether or not the work succeeds. */
async function afterwards(work: Promise<void>, undo: () => Promise<unknown>): Promise<void> {
  try {
    await work
  } finally {
    await undo()
  }
}

/** Changes a column of the app and puts the value back. */
const withNotes = (column: string, value: string, before: string) => async (look: Look) => {
  await asOwner(`UPDATE apps SET ${column} = ${value}`)
  await afterwards(look(), async () => asOwner(`UPDATE apps SET ${column} = ${before}`))
}

const behind = (location?: string, options?: Parameters<typeof startProxy>[1]) => async (look: Look) => {
  await nginx.stop()
  const other = await startProxy(location, options)
  await afterwards(look(), async () => other.stop())
  nginx = await startProxy()
}

/** Another portal with the same settings but for these, in this process, behind the same proxy. */
const served = (env: Record<string, string>, location?: string) => async (look: Look) => {
  const other = await findFreePort()
  const config: Config = readConfig({ ...clean, ...env, PORT: String(other) })
  const server = await startServer(config, createLogger('silent'))
  await afterwards(behind(location, { upstreamPort: other })(look), async () => server.stop())
}

/** Looks for faults, with further settings. */
type Look = (env?: Record<string, string>) => Promise<void>

interface Fault {
  /** What is wrong. */
  fault: string
  /** What must be found, and nothing else. */
  code: FindingCode
  /** The line to change. */
  change: string | RegExp
  env?: Record<string, string | undefined>
  /** Makes the fault, calls `look`, and takes the fault back. */
  plant?: (look: Look) => Promise<void>
  clock?: () => Date
}

const faults = (): Fault[] => [
  {
    fault: 'a setting that is missing',
    code: 'setting_wrong',
    change: /^PUBLIC_URL=https:/,
    env: { PUBLIC_URL: undefined },
  },
  {
    fault: 'PUBLIC_URL with http in production',
    code: 'setting_wrong',
    change: 'PUBLIC_URL=https://id.example.test',
    env: { PUBLIC_URL: 'http://id.example.test' },
  },
  { fault: 'a misspelt setting', code: 'setting_unknown', change: 'SMTP_URL=…', env: { SMTP_URI: 'smtp://x' } },
  { fault: 'a verbose log', code: 'verbose_log', change: 'LOG_LEVEL=info', env: { LOG_LEVEL: 'debug' } },
  {
    fault: 'a token for metrics that can be guessed',
    code: 'weak_metrics_token',
    change: /^METRICS_TOKEN=/,
    env: { METRICS_TOKEN: 'metrics-token' },
  },
  {
    fault: 'open registration',
    code: 'open_registration',
    change: 'REGISTRATION=invited',
    env: { REGISTRATION: 'open', EMAIL_VERIFICATION: 'required' },
  },
  {
    fault: 'no mail server',
    code: 'no_mail',
    change: /^SMTP_URL=smtps:/,
    env: { SMTP_URL: undefined },
  },
  {
    fault: 'a secret that all can read',
    code: 'file_readable',
    change: /^chmod o-rwx .*\/secret$/,
    plant: async (look) => {
      await chmod(join(folder.path, 'secret'), 0o644)
      await afterwards(look(), async () => chmod(join(folder.path, 'secret'), 0o600))
    },
  },
  {
    fault: 'TRUST_PROXY that is off',
    code: 'trust_proxy_off',
    change: 'TRUST_PROXY=1',
    env: { TRUST_PROXY: 'false' },
    plant: served({ TRUST_PROXY: 'false' }),
  },
  {
    fault: 'TRUST_PROXY=true behind a proxy that appends',
    code: 'trust_proxy_wide',
    change: 'TRUST_PROXY=1',
    env: { TRUST_PROXY: 'true' },
    plant: served({ TRUST_PROXY: 'true' }, `${TO_PORTAL} ${APPENDED}`),
  },
  {
    fault: 'two proxies, and TRUST_PROXY for one',
    code: 'trust_proxy_short',
    change: 'TRUST_PROXY=2',
    plant: async (look) => {
      const inner = await startNginx(program, {
        configuration: `upstream portal { server 127.0.0.1:${port}; }
          server { listen 80; location / { ${TO_PORTAL} ${APPENDED} } }`,
        certificate: certificate.cert,
        key: certificate.key,
        locations: '',
        upstreams: {},
      })
      const location = `${TO_PORTAL} ${APPENDED}`
      await afterwards(behind(location, { upstreamPort: inner.httpPort })(look), inner.stop)
    },
  },
  {
    fault: 'a proxy that names no client',
    code: 'proxy_hides_client',
    change: 'proxy_set_header X-Forwarded-For $remote_addr;',
    plant: behind(TO_PORTAL),
  },
  {
    fault: 'a proxy that changes the host',
    code: 'proxy_host',
    change: 'proxy_set_header Host $http_host;',
    plant: behind(`${PORTAL} ${ADDRESS}`),
  },
  {
    fault: 'a proxy that takes HSTS away',
    code: 'hsts_missing',
    change: 'proxy_pass_header Strict-Transport-Security;',
    plant: behind(`${TO_PORTAL} ${ADDRESS} proxy_hide_header Strict-Transport-Security;`),
  },
  {
    fault: 'a proxy that makes cookies insecure',
    code: 'cookies_insecure',
    change: 'proxy_cookie_flags off;',
    plant: behind(`${TO_PORTAL} ${ADDRESS} proxy_cookie_flags ~ nosecure;`),
  },
  {
    fault: 'a portal that does not run',
    code: 'portal_not_running',
    change: /^proxy_pass http:\/\/127\.0\.0\.1:\d+;$/,
    plant: behind(undefined, { upstreamPort: 9 }),
  },
  {
    fault: 'something else at PUBLIC_URL',
    code: 'public_url_other',
    change: /^PUBLIC_URL=/,
    plant: behind('return 200 hello;'),
  },
  {
    fault: 'PUBLIC_URL that redirects',
    code: 'public_url_redirects',
    change: 'PUBLIC_URL=https://www.example.test',
    plant: behind('return 301 https://www.example.test$request_uri;'),
  },
  {
    fault: 'PUBLIC_URL where nothing listens',
    code: 'public_url_unreachable',
    change: 'PUBLIC_URL=https://localhost:9',
    env: { PUBLIC_URL: 'https://localhost:9' },
  },
  {
    fault: 'a certificate that expires soon',
    code: 'certificate_expires',
    change: 'certbot renew --cert-name localhost',
    plant: async (look) => behind(undefined, { shown: await authority.issue('localhost', 9) })(look),
  },
  {
    fault: 'a certificate for another name',
    code: 'certificate_name',
    change: 'certbot certonly -d localhost',
    plant: async (look) => behind(undefined, { shown: await authority.issue('other.example.test') })(look),
  },
  {
    fault: 'old versions of TLS',
    code: 'tls_old',
    change: 'ssl_protocols TLSv1.2 TLSv1.3;',
    plant: behind(undefined, { tls: 'ssl_protocols TLSv1.1 TLSv1.2; ssl_ciphers DEFAULT:@SECLEVEL=0;' }),
  },
  {
    fault: 'a password that the database refuses',
    code: 'database_unreachable',
    change: /^DATABASE_URL=postgresql:\/\/\w+:…@/,
    env: { DATABASE_URL: database.portalUrl.replace(':password@', ':wrong-password@') },
  },
  {
    fault: 'a migration that is pending',
    code: 'migrations_pending',
    change: 'gatehouse migrate',
    plant: async (look) => {
      const last = '(SELECT max(migration_name) FROM _prisma_migrations)'
      await asOwner(`UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = ${last}`)
      await afterwards(look(), async () => asOwner('UPDATE _prisma_migrations SET rolled_back_at = NULL'))
    },
  },
  {
    fault: 'a database of a newer version',
    code: 'migrations_newer',
    change: /^install the version/,
    plant: async (look) => {
      await asOwner(
        `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('x', 'x', '2999', now())`,
      )
      await afterwards(look(), async () => asOwner(`DELETE FROM _prisma_migrations WHERE id = 'x'`))
    },
  },
  {
    fault: 'more processes than connections',
    code: 'too_few_connections',
    change: /^WORKERS=1\d$/,
    env: { WORKERS: '60' },
  },
  {
    fault: 'PgBouncer that loses prepared statements',
    code: 'pooler_loses_statements',
    change: 'PREPARED_STATEMENTS=off',
    plant: async (look) => {
      const pooler = await startPgbouncer(database.portalUrl)
      await afterwards(look({ DATABASE_URL: pooler.url }), pooler.stop)
    },
  },
  {
    fault: 'the owner of the tables as the role of the portal',
    code: 'audit_log_writable',
    change: /^DATABASE_MIGRATION_URL=postgresql:\/\/gatehouse_owner:…@/,
    env: { DATABASE_URL: database.ownerUrl, DATABASE_MIGRATION_URL: undefined },
  },
  {
    fault: 'a clock that is wrong',
    code: 'clock_skew',
    change: 'timedatectl set-ntp true',
    clock: () => new Date(Date.now() + 60_000),
  },
  {
    fault: 'signing keys of last year',
    code: 'old_signing_keys',
    change: 'KEY_ROTATION=90d',
    plant: async (look) => {
      await asOwner(`UPDATE signing_keys SET signs_from = signs_from - interval '400 days'`)
      await afterwards(look(), async () =>
        asOwner(`UPDATE signing_keys SET signs_from = signs_from + interval '400 days'`),
      )
    },
  },
  {
    fault: 'a root secret of three years',
    code: 'old_secret',
    change: /^GATEHOUSE_SECRET=.*openssl rand/,
    plant: async (look) => {
      await asOwner(`UPDATE root_secrets SET first_signed_at = first_signed_at - interval '3 years'`)
      await afterwards(look(), () =>
        asOwner(`UPDATE root_secrets SET first_signed_at = first_signed_at + interval '3 years'`),
      )
    },
  },
  {
    fault: 'a Redis that does not run',
    code: 'redis_unreachable',
    change: 'REDIS_URL=redis://:…@127.0.0.1:9',
    env: { REDIS_URL: 'redis://:redis-password@127.0.0.1:9' },
  },
  {
    fault: 'a Redis that evicts',
    code: 'redis_evicts',
    change: 'redis-cli CONFIG SET maxmemory-policy noeviction',
    plant: async (look) => {
      const redis = new Redis(serviceAddress('TEST_REDIS_URL'))
      await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
      await afterwards(look(), async () => redis.config('SET', 'maxmemory-policy', 'noeviction'))
      redis.disconnect()
    },
  },
  {
    fault: 'a wrong password for the mail server',
    code: 'smtp_login',
    change: /^SMTP_URL=smtp:\/\/portal:…@localhost:\d+$/,
    env: { SMTP_URL: clean['SMTP_URL']?.replace(PASSWORD, 'wrong-password') },
  },
  {
    fault: 'a mail server that does not run',
    code: 'smtp_unreachable',
    change: 'SMTP_URL=smtp://localhost:9',
    env: { SMTP_URL: 'smtp://localhost:9' },
  },
  {
    fault: 'a mail server with a certificate of its own',
    code: 'smtp_certificate',
    change: /^NODE_EXTRA_CA_CERTS=/,
    plant: async (look) => {
      const other = await startMailbox({ offersTls: true })
      await afterwards(look({ SMTP_URL: other.url.replace('127.0.0.1', 'localhost') }), other.stop)
    },
  },
  {
    fault: 'a home URI where nothing is',
    code: 'app_unreachable',
    change: 'gatehouse app update notes --home-uri https://…',
    plant: withNotes('home_uri', `'http://127.0.0.1:${appPort}/gone'`, `'http://127.0.0.1:${appPort}/'`),
  },
  {
    fault: 'a logout URI that refuses connections',
    code: 'app_unreachable',
    change: 'gatehouse app update notes --backchannel-logout-uri https://…',
    plant: withNotes('backchannel_logout_uri', `'http://127.0.0.1:9/'`, `'http://127.0.0.1:${appPort}/logout'`),
  },
  {
    fault: 'a logout URI in a network that is not allowed',
    code: 'app_address_private',
    change: 'ALLOWED_NETWORKS=10.0.0.0/8,127.0.0.1/32',
    env: { ALLOWED_NETWORKS: '10.0.0.0/8' },
  },
  {
    fault: 'a redirect URI with http',
    code: 'app_uri_insecure',
    change: 'gatehouse app update notes --redirect-uri https://192.0.2.1/callback',
    plant: withNotes('redirect_uris', `'{http://192.0.2.1/callback}'`, `'{http://127.0.0.1:4001/callback}'`),
  },
  {
    fault: 'a redirect URI whose host there is not',
    code: 'app_host_unknown',
    change: 'gatehouse app update notes --redirect-uri http://127.0.0.1:4001/callback https://…',
    plant: withNotes(
      'redirect_uris',
      `'{http://127.0.0.1:4001/callback,https://nowhere.invalid/callback}'`,
      `'{http://127.0.0.1:4001/callback}'`,
    ),
  },
]

test('of a clean portal in production the command says nothing, and ends with 0', async () => {
  const env = { ...clean, NODE_EXTRA_CA_CERTS: authority.file }
  const { code, stdout } = await gatehouse(['doctor'], env)
  assert.deepEqual({ code, stdout }, { code: 0, stdout: '' })
})

test('each fault is found, with the line to change, and nothing else', async () => {
  const wrong: unknown[] = []
  for (const { fault, code, change, env = {}, plant, clock } of faults()) {
    const look = async (further: Record<string, string> = {}) => {
      const { findings } = await examineWith({ ...env, ...further }, clock)
      const names = (line: string) => (typeof change === 'string' ? line === change : change.test(line))
      // A clock of ours that is wrong differs from several others.
      const isRight = findings.length > 0 && findings.every((each) => each.code === code && names(each.change))
      if (!isRight) wrong.push({ fault, findings })
      for (const secret of [SECRET, PASSWORD, 'redis-password', 'wrong-password'])
        assert.ok(!JSON.stringify(findings).includes(secret), fault)
    }
    await (plant === undefined ? look() : plant(look))
  }
  assert.deepEqual(wrong, [])
})
