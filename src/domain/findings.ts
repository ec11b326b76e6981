export const SEVERITIES = ['error', 'warning', 'hint'] as const
export type Severity = (typeof SEVERITIES)[number]

interface Kind {
  severity: Severity
  /** What it means, for `docs/doctor.md`. */
  about: string
  /** What a line to change looks like, for the same page. */
  example: string
}

/** Everything that the doctor can find. `docs/doctor.md` is made from this table. */
export const FINDINGS = {
  setting_wrong: {
    severity: 'error',
    about: 'A setting is missing or wrong, and the portal does not start with it.',
    example: 'PUBLIC_URL=https://id.example.com',
  },
  setting_unknown: {
    severity: 'warning',
    about: 'An environment variable resembles a setting, and has no effect.',
    example: 'SMTP_URL=…',
  },
  setting_overridden: {
    severity: 'hint',
    about: 'The environment says something else than the file of settings, and takes precedence.',
    example: 'unset LOG_LEVEL',
  },
  env_file_ignored: {
    severity: 'hint',
    about: 'There is a `.env` in the current folder, which is not read in production.',
    example: 'ENV_FILE=.env',
  },
  file_readable: {
    severity: 'warning',
    about: 'Every user of the machine can read a file with secrets.',
    example: 'chmod o-rwx /etc/gatehouse/secret',
  },
  verbose_log: {
    severity: 'warning',
    about: 'In production the log is more verbose than it should be for long.',
    example: 'LOG_LEVEL=info',
  },
  not_production: {
    severity: 'warning',
    about: 'The portal runs with the conveniences of development on an address that others can reach.',
    example: 'NODE_ENV=production',
  },
  insecure_public_url: {
    severity: 'warning',
    about: 'PUBLIC_URL is http although others can reach it: cookies, codes and passwords travel in clear.',
    example: 'PUBLIC_URL=https://id.example.com',
  },
  public_url_ip: {
    severity: 'warning',
    about: 'PUBLIC_URL has an IP address in place of a host name: passkeys do not work there (WebAuthn).',
    example: 'PUBLIC_URL=https://id.example.com',
  },
  weak_secret: {
    severity: 'warning',
    about: 'GATEHOUSE_SECRET looks as if it was made by a person: every key is derived from it.',
    example: 'GATEHOUSE_SECRET=new,old with the new one from `openssl rand -base64 48`',
  },
  weak_metrics_token: {
    severity: 'warning',
    about: 'METRICS_TOKEN is short or made of words, and could be guessed.',
    example: 'METRICS_TOKEN="$(openssl rand -base64 32)"',
  },
  old_secret: {
    severity: 'warning',
    about: 'GATEHOUSE_SECRET has been the same for more than two years.',
    example: 'GATEHOUSE_SECRET=new,old with the new one from `openssl rand -base64 48`',
  },
  shared_token_key: {
    severity: 'hint',
    about: 'Tokens of an app are signed with a key that the app shares (HS256): what can verify them can forge them.',
    example: 'gatehouse app update shop --id-token-alg RS256 --application-token-alg ES256',
  },
  open_registration: {
    severity: 'warning',
    about: 'Strangers can register on this portal, whatever the domain of their e-mail address.',
    example: 'REGISTRATION=invited',
  },
  unconfirmed_registration: {
    severity: 'warning',
    about: 'Strangers can register and connect apps without confirming their e-mail address.',
    example: 'EMAIL_VERIFICATION=required',
  },
  no_mail: {
    severity: 'warning',
    about: 'In production no mail server is set, so no mail leaves: users cannot reset a password.',
    example: 'SMTP_URL=smtps://user:password@mail.example.com',
  },
  mail_sender: {
    severity: 'warning',
    about: 'MAIL_FROM has a domain that no mail can come from.',
    example: 'MAIL_FROM=no-reply@example.com',
  },
  smtp_unreachable: {
    severity: 'error',
    about: 'The mail server does not answer.',
    example: 'SMTP_URL=smtps://user:password@mail.example.com',
  },
  smtp_login: {
    severity: 'error',
    about: 'The mail server refuses the user name and password of SMTP_URL.',
    example: 'SMTP_URL=smtps://user:password@mail.example.com',
  },
  smtp_unencrypted: {
    severity: 'warning',
    about: 'Mails, and the links in them that open accounts, go over the network without TLS.',
    example: 'SMTP_URL=smtps://mail.example.com',
  },
  smtp_certificate: {
    severity: 'error',
    about: 'The certificate of the mail server is not trusted, or is for another name.',
    example: 'NODE_EXTRA_CA_CERTS=/etc/ssl/private-ca.pem',
  },
  identity_source_unreachable: {
    severity: 'error',
    about:
      'The service in which users live does not answer: none of them can sign in, and those who were disabled there stay signed in.',
    example: 'IDENTITY_SOURCE_URL=https://users.example.com/identity-source',
  },
  identity_source_answer: {
    severity: 'error',
    about:
      'The service in which users live answers, but not as its protocol says, or with another secret or clock: none of them can sign in.',
    example: 'gatehouse identity-source check https://users.example.com/identity-source',
  },
  identity_provider_unreachable: {
    severity: 'error',
    about: 'A provider with which users sign in does not answer: they cannot sign in with it.',
    example: 'gatehouse identity-provider disable google',
  },
  identity_provider_answer: {
    severity: 'error',
    about:
      'What a provider publishes of itself is for another issuer, or cannot be used: users cannot sign in with it. The issuer has to be written as it is there, with or without a slash at its end.',
    example: 'gatehouse identity-provider update google --issuer https://accounts.google.com',
  },
  identity_provider_secret: {
    severity: 'error',
    about:
      'The client secret of a provider is missing, or is encrypted under a root secret that the portal does not have: users cannot sign in with it.',
    example: 'gatehouse identity-provider update google --client-secret-stdin < secret.txt',
  },
  identity_provider_open: {
    severity: 'hint',
    about: 'Anyone with an account at a provider gets one here, because no domain limits it.',
    example: 'gatehouse identity-provider update google --domain example.com',
  },
  directory_unreachable: {
    severity: 'error',
    about: 'The LDAP directory in which users live does not answer: none of them can sign in.',
    example: 'IDENTITY_SOURCE_URL=ldaps://directory.example.com/dc=example,dc=com',
  },
  directory_certificate: {
    severity: 'error',
    about: 'The certificate of the LDAP directory is not trusted, or is for another name.',
    example: 'LDAP_CA_FILE=/etc/gatehouse/directory-ca.pem',
  },
  directory_login: {
    severity: 'error',
    about: 'The LDAP directory refuses LDAP_BIND_DN with the password in IDENTITY_SOURCE_SECRET.',
    example: 'LDAP_BIND_DN=cn=gatehouse,ou=services,dc=example,dc=com',
  },
  directory_base: {
    severity: 'error',
    about: 'The LDAP directory has no entry below which users could be, or does not show it to the portal.',
    example: 'IDENTITY_SOURCE_URL=ldaps://directory.example.com/dc=example,dc=com',
  },
  directory_group: {
    severity: 'warning',
    about: 'A group of LDAP_ROLE_GROUPS is not in the LDAP directory, or is not shown to the portal.',
    example: 'LDAP_ROLE_GROUPS=editor=cn=editors,ou=groups,dc=example,dc=com',
  },
  portal_not_started: {
    severity: 'error',
    about: 'No portal has been started in DATA_DIR.',
    example: 'gatehouse serve',
  },
  database_unreachable: {
    severity: 'error',
    about: 'The database cannot be used. What needs it was not checked.',
    example: 'DATABASE_URL=postgresql://gatehouse:…@db.example.com/gatehouse',
  },
  store_old: {
    severity: 'error',
    about: 'PostgreSQL is older than 15, or Redis than 6.2.',
    example: 'DATABASE_URL=… of a PostgreSQL 15 or newer',
  },
  migrations_pending: {
    severity: 'error',
    about: 'The tables of the database are older than this version.',
    example: 'gatehouse migrate',
  },
  migrations_newer: {
    severity: 'error',
    about: 'A newer version of the portal has changed the tables of the database.',
    example: 'install the newer version again',
  },
  clock_skew: {
    severity: 'warning',
    about: 'Two clocks differ by more than five seconds: tokens are refused early, or accepted late.',
    example: 'timedatectl set-ntp true',
  },
  too_few_connections: {
    severity: 'warning',
    about: 'The processes of the portal may open more connections than PostgreSQL accepts.',
    example: 'WORKERS=4',
  },
  pooler_loses_statements: {
    severity: 'error',
    about:
      'The database is behind a pooler in transaction mode that loses prepared statements (PgBouncer before 1.21).',
    example: 'PREPARED_STATEMENTS=off',
  },
  database_unencrypted: {
    severity: 'warning',
    about: 'The connection to a database at a public address is not encrypted.',
    example: 'DATABASE_URL=postgresql://gatehouse:…@db.example.com/gatehouse?sslmode=verify-full',
  },
  audit_log_writable: {
    severity: 'warning',
    about: 'The role of the portal owns the tables, or may change or delete audit events.',
    example: 'DATABASE_MIGRATION_URL=postgresql://gatehouse_owner:…@db.example.com/gatehouse',
  },
  no_backup_seen: {
    severity: 'hint',
    about: 'PostgreSQL archives no log and has no replica; backups made otherwise, such as by pg_dump, are not seen.',
    example: 'pg_dump --format=custom --file=gatehouse.dump gatehouse',
  },
  embedded_in_production: {
    severity: 'hint',
    about: 'The embedded database runs in production: it is on one machine, and its backup is up to you.',
    example: 'DATABASE_URL=postgresql://gatehouse:…@db.example.com/gatehouse',
  },
  redis_unreachable: {
    severity: 'error',
    about: 'Redis does not answer.',
    example: 'REDIS_URL=redis://:…@redis.example.com:6379',
  },
  redis_evicts: {
    severity: 'warning',
    about: 'Redis may evict sessions, codes and counters of attempts when its memory is full.',
    example: 'redis-cli CONFIG SET maxmemory-policy noeviction',
  },
  node_unsupported: {
    severity: 'warning',
    about: 'This version of Node.js gets no security fixes any more.',
    example: 'install Node.js 24',
  },
  public_url_unreachable: {
    severity: 'error',
    about: 'PUBLIC_URL does not answer from this machine.',
    example: 'PUBLIC_URL=https://id.example.com',
  },
  portal_not_running: {
    severity: 'error',
    about: 'The proxy answers at PUBLIC_URL, and does not reach the portal behind it.',
    example: 'proxy_pass http://127.0.0.1:3000;',
  },
  public_url_other: {
    severity: 'error',
    about: 'Something else than this portal answers at PUBLIC_URL.',
    example: 'PUBLIC_URL=https://id.example.com',
  },
  public_url_redirects: {
    severity: 'error',
    about: 'PUBLIC_URL redirects elsewhere, or to itself for ever.',
    example: 'PUBLIC_URL=https://id.example.com',
  },
  portal_outdated: {
    severity: 'warning',
    about: 'The portal that answers runs another version, or with another PUBLIC_URL, than this command.',
    example: 'systemctl restart gatehouse',
  },
  proxy_host: {
    severity: 'error',
    about: 'The proxy passes on another Host than that of PUBLIC_URL, so the portal answers 421.',
    example: 'proxy_set_header Host $http_host;',
  },
  trust_proxy_off: {
    severity: 'warning',
    about: 'There is a proxy, and TRUST_PROXY is off: all clients count as one IP address.',
    example: 'TRUST_PROXY=1',
  },
  trust_proxy_short: {
    severity: 'warning',
    about: 'There are more proxies than TRUST_PROXY trusts: clients count as the IP address of a proxy.',
    example: 'TRUST_PROXY=2',
  },
  trust_proxy_wide: {
    severity: 'warning',
    about:
      'TRUST_PROXY trusts more proxies than there are: any client can choose its IP address, and escape rate limits.',
    example: 'TRUST_PROXY=1',
  },
  proxy_hides_client: {
    severity: 'warning',
    about: 'The proxy does not pass on the IP address of the client in X-Forwarded-For.',
    example: 'proxy_set_header X-Forwarded-For $remote_addr;',
  },
  proxy_scheme: {
    severity: 'hint',
    about:
      'The proxy says another scheme in X-Forwarded-Proto than PUBLIC_URL has. The portal itself does not read it.',
    example: 'proxy_set_header X-Forwarded-Proto $scheme;',
  },
  cookies_insecure: {
    severity: 'warning',
    about:
      'Cookies of an https portal arrive at browsers without Secure, or a portal that is reached over https sets them for http.',
    example: 'PUBLIC_URL=https://id.example.com',
  },
  hsts_missing: {
    severity: 'warning',
    about: 'Strict-Transport-Security, which the portal sends, does not arrive at clients.',
    example: 'remove proxy_hide_header Strict-Transport-Security;',
  },
  http_not_redirected: {
    severity: 'warning',
    about: 'Port 80 of the host of PUBLIC_URL answers without sending browsers to https.',
    example: 'return 301 https://$host$request_uri;',
  },
  certificate_expires: {
    severity: 'warning',
    about: 'The certificate of PUBLIC_URL expires within 14 days, or has expired (an error).',
    example: 'certbot renew --cert-name id.example.com',
  },
  certificate_untrusted: {
    severity: 'error',
    about: 'The certificate of PUBLIC_URL is signed by an authority that is not trusted, or its chain is incomplete.',
    example: 'ssl_certificate /etc/letsencrypt/live/id.example.com/fullchain.pem;',
  },
  certificate_name: {
    severity: 'error',
    about: 'The certificate of PUBLIC_URL is for another host name.',
    example: 'certbot certonly -d id.example.com',
  },
  tls_old: {
    severity: 'warning',
    about: 'The server of PUBLIC_URL accepts TLS 1.0 or 1.1 (RFC 8996).',
    example: 'ssl_protocols TLSv1.2 TLSv1.3;',
  },
  app_uri_insecure: {
    severity: 'warning',
    about: 'A URI of an app is http and not on loopback: codes and tokens would travel in clear.',
    example: 'gatehouse app update notes --redirect-uri https://notes.example.com/callback',
  },
  app_host_unknown: {
    severity: 'warning',
    about: 'The host name of a URI of an app has no address.',
    example: 'gatehouse app update notes --redirect-uri https://notes.example.com/callback',
  },
  app_address_private: {
    severity: 'warning',
    about:
      'The portal sends notifications or fetches keys only from public addresses and ALLOWED_NETWORKS, and an app is elsewhere.',
    example: 'ALLOWED_NETWORKS=10.1.2.3/32',
  },
  app_unreachable: {
    severity: 'warning',
    about:
      'A URI of an app refuses connections, has no valid certificate, or answers that there is nothing (404, 410) or with an error (5xx).',
    example: 'gatehouse app update notes --home-uri https://notes.example.com/',
  },
  app_on_portal_host: {
    severity: 'warning',
    about: 'An app has the host name of the portal with another port. Browsers send it the cookies of the portal.',
    example: 'gatehouse app update notes --redirect-uri https://notes.example.com/callback',
  },
  old_signing_keys: {
    severity: 'warning',
    about: 'A signing key is older than a year.',
    example: 'gatehouse keys rotate',
  },
  no_administrator: {
    severity: 'hint',
    about: 'No account has the role admin: only the command line administers this portal.',
    example: 'gatehouse admin invite you@example.com',
  },
  last_administrator: {
    severity: 'hint',
    about: 'There is one administrator alone: if they lose access, only the command line helps.',
    example: 'gatehouse admin invite colleague@example.com',
  },
  worker_missing: {
    severity: 'error',
    about: 'With IN_PROCESS_WORKER=false no process takes mails or notifications: no worker runs.',
    example: 'gatehouse worker',
  },
  mails_waiting: {
    severity: 'warning',
    about: 'A mail has waited for more than 15 minutes.',
    example: 'SMTP_URL=smtps://user:password@mail.example.com',
  },
  mails_failed: {
    severity: 'hint',
    about: 'Mails were given up in the last seven days.',
    example: 'send them again at /admin/queues',
  },
  notifications_waiting: {
    severity: 'warning',
    about: 'An app has not taken a notification for more than an hour.',
    example: 'gatehouse notification list --app notes',
  },
  notifications_given_up: {
    severity: 'warning',
    about: 'Notifications to an app were given up.',
    example: 'gatehouse notification resend --app notes',
  },
  not_checked: {
    severity: 'warning',
    about: 'Something could not be checked; the sentence says what and why.',
    example: 'run gatehouse doctor again',
  },
} as const satisfies Record<string, Kind>

export type FindingCode = keyof typeof FINDINGS
export const FINDING_CODES = Object.keys(FINDINGS) as [FindingCode, ...FindingCode[]]

export interface Finding {
  code: FindingCode
  severity: Severity
  /** What is wrong, for an operator; without secrets. */
  sentence: string
  /** The exact line to change, or the command to run. */
  change: string
}

/** `severity` is that of the table where it is left out. */
export function finding(
  code: FindingCode,
  sentence: string,
  change: string,
  severity: Severity = FINDINGS[code].severity,
): Finding {
  return { code, severity, sentence, change }
}

/** `all`, or only what is found out without asking other servers than the database. */
export const CHECKUP_KINDS = ['all', 'quick'] as const
export type CheckupKind = (typeof CHECKUP_KINDS)[number]

export interface Checkup {
  /** Errors first. */
  findings: Finding[]
  /** What an operator may want to know; nothing has to change. */
  hints: Finding[]
  /** The names of what was checked. */
  checked: string[]
}
