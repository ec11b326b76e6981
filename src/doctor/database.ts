import { type Config, isLoopback } from '../config.ts'
import { type Finding, finding } from '../domain/findings.ts'
import { PROCESS_GONE_AFTER } from '../domain/keys/root-secrets.ts'
import { addSeconds } from '../domain/time.ts'
import { findAllowedDomains, isRegistrationOpen } from '../domain/identities/open-registration.ts'
import { isPublic } from '../backchannel/reached-ips.ts'
import { schemaOf } from '../storage/database-url.ts'
import { compareMigrations } from '../storage/migrations.ts'
import { checkSessions, DatabaseUnfit } from '../storage/postgres.ts'
import { listProcesses } from '../storage/root-secrets.ts'
import { findAuditPrivileges, findServerFacts, type ServerFacts } from '../storage/server-facts.ts'
import { addressesOf } from './addresses.ts'
import { findSkew } from './clocks.ts'
import { maskedUrl } from './masked-url.ts'
import type { Patient } from './patient.ts'

const OLDEST = 150_000
/** What one process may have (`openPostgres`). */
const CONNECTIONS_OF_PROCESS = 10

/** Null while the database can be used. */
export async function databaseTrouble({ config, storage, isServing }: Patient): Promise<Finding | null> {
  try {
    await storage.pool.query('SELECT 1')
    if (!isServing)
      await checkSessions(storage.pool, { schema: schemaOf(config.databaseUrl ?? 'postgresql://localhost') })
    return null
  } catch (error) {
    const { message } = error as Error
    if (error instanceof DatabaseUnfit && /PREPARED_STATEMENTS/.test(message))
      return finding('pooler_loses_statements', `${message}.`, 'PREPARED_STATEMENTS=off')
    return unreachable(config, error as Error)
  }
}

/** @param error of the connection or its first query */
export function unreachable(config: Config, error: Error): Finding {
  const reason = error instanceof AggregateError ? (error.errors[0] as Error).message : error.message
  return finding('database_unreachable', `The database cannot be used: ${reason}.`, databaseLine(config))
}

export async function examineDatabase(patient: Patient): Promise<Finding[]> {
  const { config, storage } = patient
  const before = patient.clock()
  const facts = await findServerFacts(storage.pool)
  const after = patient.clock()
  const running = await listProcesses(storage.pool, addSeconds(after, -PROCESS_GONE_AFTER))
  const found = [
    ...version(facts),
    ...findSkew('the database', facts.now, before, after),
    ...connections(config, facts, running.length),
    ...copies(config, facts),
    ...(await encryption(config, facts)),
  ]
  return found
}

/** Whether the tables are those of this version. */
export async function examineMigrations({ storage }: Patient): Promise<Finding[]> {
  const { pending, unknown } = await compareMigrations(storage.pool)
  const found: Finding[] = []
  if (pending.length > 0)
    found.push(
      finding(
        'migrations_pending',
        `${counted(pending.length, 'migration is', 'migrations are')} pending: ${listed(pending)}.`,
        'gatehouse migrate',
      ),
    )
  if (unknown.length > 0)
    found.push(
      finding(
        'migrations_newer',
        `The database has ${counted(unknown.length, 'migration', 'migrations')} that this version does not know: ${listed(unknown)}.`,
        'install the version of Gatehouse that ran here last',
      ),
    )
  return found
}

/** Whether the audit log is append-only for the portal. */
export async function examineRole({ config, storage }: Patient): Promise<Finding[]> {
  const { isOwner, mayChange } = await findAuditPrivileges(storage.pool)
  if (!isOwner && !mayChange) return []
  const sentence = isOwner
    ? 'The portal connects as the owner of its tables, who can change and delete audit events.'
    : 'The role of the portal may change or delete audit events.'
  const change = isOwner ? ownerLine(config) : 'REVOKE UPDATE, DELETE, TRUNCATE ON audit_events FROM CURRENT_USER'
  const isOwn = config.production && config.databaseUrl !== null
  return [finding('audit_log_writable', sentence, change, isOwn ? 'warning' : 'hint')]
}

/** Open registration without limits, in production. */
export async function examineRegistration({ config, storage }: Patient): Promise<Finding[]> {
  if (!config.production || !isRegistrationOpen(config)) return []
  if ((await findAllowedDomains({ storage })).length > 0) return []
  return [
    finding(
      'open_registration',
      'Anyone can register on this portal, with any e-mail address.',
      'REGISTRATION=invited',
    ),
  ]
}

function version({ version: number }: ServerFacts): Finding[] {
  if (number >= OLDEST) return []
  const major = Math.floor(number / 10_000)
  return [
    finding(
      'store_old',
      `The database is PostgreSQL ${major}; the portal needs 15 or newer.`,
      'upgrade PostgreSQL to 15 or newer',
    ),
  ]
}

function connections(
  { workers, inProcessWorker, databaseUrl }: Config,
  { mostConnections, otherConnections, role }: ServerFacts,
  running: number,
): Finding[] {
  // Other machines may run the same portal.
  const configured = workers + (inProcessWorker ? 0 : 1)
  const processes = Math.max(configured, running)
  const needed = processes * CONNECTIONS_OF_PROCESS
  const free = mostConnections - otherConnections
  if (databaseUrl === null || needed <= free) return []
  const fits = Math.floor(free / CONNECTIONS_OF_PROCESS) - (processes - workers)
  return [
    finding(
      'too_few_connections',
      `${counted(processes, 'process of the portal may open', 'processes of the portal may open')} ${needed} connections, and ${free} are left for ${role}: ${mostConnections} at most, ${otherConnections} of them in use by other programs.`,
      fits >= 1 ? `WORKERS=${fits}` : `ALTER SYSTEM SET max_connections = ${needed + otherConnections + 20}`,
    ),
  ]
}

function copies({ databaseUrl, production }: Config, { isCopied }: ServerFacts): Finding[] {
  if (databaseUrl === null || !production || isCopied) return []
  return [
    finding(
      'no_backup_seen',
      'PostgreSQL has archived no log and has no replica. If backups are not made otherwise, begin now (docs/deploy.md#back-up).',
      `pg_dump --format=custom --file=gatehouse.dump ${new URL(databaseUrl).pathname.slice(1) || 'gatehouse'}`,
    ),
  ]
}

async function encryption(config: Config, { isEncrypted }: ServerFacts): Promise<Finding[]> {
  if (isEncrypted || config.databaseUrl === null) return []
  const { hostname } = new URL(config.databaseUrl)
  // Empty for a socket of this machine.
  if (hostname === '' || isLoopback(hostname)) return []
  const addresses = await addressesOf(hostname)
  if (!addresses.some(isPublic)) return []
  const masked = maskedUrl(config.databaseUrl)
  return [
    finding(
      'database_unencrypted',
      `What the portal reads and writes goes to ${hostname} without TLS.`,
      `DATABASE_URL=${masked}${masked.includes('?') ? '&' : '?'}sslmode=verify-full`,
    ),
  ]
}

function ownerLine({ databaseUrl }: Config): string {
  const url = databaseUrl === null ? 'postgresql://db.example.com/gatehouse' : databaseUrl
  return `DATABASE_MIGRATION_URL=${maskedUrl(url, 'gatehouse_owner')}`
}

function databaseLine({ databaseUrl, dataDir }: Config): string {
  return databaseUrl === null ? `DATA_DIR=${dataDir}` : `DATABASE_URL=${maskedUrl(databaseUrl)}`
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

const MOST_LISTED = 3

function listed(names: string[]): string {
  const more = names.length - MOST_LISTED
  return names.slice(0, MOST_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
