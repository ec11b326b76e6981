import type { Queryable } from './postgres.ts'

/** What PostgreSQL says about itself and about this connection. */
export interface ServerFacts {
  /** Such as 170004. */
  version: number
  now: Date
  role: string
  isSuperuser: boolean
  /** Connections that this role may have in this database at once. */
  mostConnections: number
  /** Connections of other programs, in all databases. */
  otherConnections: number
  isEncrypted: boolean
  /** Whether it archives its log, or has a replica or a running base backup. */
  isCopied: boolean
}

export async function findServerFacts(db: Queryable): Promise<ServerFacts> {
  const { rows } = await db.query<ServerFacts>(
    `SELECT current_setting('server_version_num')::int AS version, clock_timestamp() AS now, current_user AS role,
       r.rolsuper AS "isSuperuser",
       LEAST(
         current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0 ELSE
           current_setting('superuser_reserved_connections')::int + COALESCE(current_setting('reserved_connections', true)::int, 0) END,
         NULLIF(r.rolconnlimit, -1), NULLIF(d.datconnlimit, -1)) AS "mostConnections",
       (SELECT count(*)::int FROM pg_stat_activity WHERE usename IS NOT NULL AND pid <> pg_backend_pid()
         AND application_name NOT LIKE 'gatehouse/%') AS "otherConnections",
       COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS "isEncrypted",
       (SELECT archived_count > 0 FROM pg_stat_archiver) OR EXISTS (SELECT FROM pg_stat_replication) AS "isCopied"
     FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()`,
  )
  return rows[0] as ServerFacts
}

/** Whether the role of this connection may change or delete audit events, or owns their table and could allow it to itself. */
export async function findAuditPrivileges(db: Queryable): Promise<{ isOwner: boolean; mayChange: boolean }> {
  const { rows } = await db.query<{ isOwner: boolean; mayChange: boolean }>(
    `SELECT pg_has_role(relowner, 'USAGE') AS "isOwner",
       has_table_privilege(oid, 'UPDATE') OR has_table_privilege(oid, 'DELETE') OR has_table_privilege(oid, 'TRUNCATE') AS "mayChange"
     FROM pg_class WHERE oid = to_regclass('audit_events')`,
  )
  return rows[0] ?? { isOwner: false, mayChange: false }
}
