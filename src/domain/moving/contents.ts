// moving/: a whole portal in one encrypted file, to continue on another machine (`gatehouse export` and `gatehouse import`).
//
// It owns what a file contains and in which order, and how what was sealed under one root secret is sealed under another.
// It leaves how families end to `endings/`, and the keys that verify what was made under another root secret to `keys/`.

import { MOVED_APIS, MOVED_APPS } from './moved-apps.ts'
import { MOVED_FAMILIES } from './moved-families.ts'
import {
  MOVED_GROUPS,
  MOVED_IDENTITIES,
  MOVED_IDENTITY_PROVIDERS,
  MOVED_INVITATIONS,
  MOVED_REGISTRATION_DOMAINS,
} from './moved-identities.ts'
import { MOVED_LASTING_SECRETS, MOVED_ROOT_SECRETS, MOVED_SIGNING_KEYS } from './moved-secrets.ts'
import type { MovedColumns, MovedTable } from './moved-table.ts'

/** The keys of the old portal. They come first, in one transaction that takes away those that the new portal has made. */
export const MOVED_KEYS: readonly MovedTable[] = [MOVED_LASTING_SECRETS, MOVED_SIGNING_KEYS, MOVED_ROOT_SECRETS]

/**
 * The other tables of a file, each after those that it refers to. A row goes with its parts in one transaction: no user signs in to an
 * identity whose second factors are still to come.
 */
export const MOVED_TABLES: readonly MovedTable[] = [
  MOVED_REGISTRATION_DOMAINS,
  MOVED_GROUPS,
  MOVED_INVITATIONS,
  MOVED_APIS,
  MOVED_APPS,
  MOVED_IDENTITY_PROVIDERS,
  MOVED_IDENTITIES,
  ...MOVED_FAMILIES,
]

/** Every table of a file by its name, parts as well. */
export const MOVED_COLUMNS: ReadonlyMap<string, MovedColumns> = new Map(
  [...MOVED_KEYS, ...MOVED_TABLES]
    .flatMap(({ parts = [], ...table }) => [table, ...parts])
    .map((each) => [each.table, each]),
)

/** The tables that stay behind, and why. Every table is here or above; a test compares. */
export const LEFT_BEHIND: Readonly<Record<string, string>> = {
  _prisma_migrations: 'the new portal has migrated its own database',
  audit_checkpoints: 'seals of the audit log of the old machine',
  audit_events:
    'the log of the old machine; "gatehouse audit export" keeps it, and that of the new one begins with the import',
  audit_retention: 'the owner of the tables sets it',
  audit_streams: 'how far the log of the old machine was sent',
  browser_sessions: 'cookies of the old machine; users sign in once more',
  counters: 'failed attempts and rate limits of the last minutes',
  failed_mails: 'jobs of the old machine, which may send them again',
  handshakes: 'requests of the last minutes: codes, interactions, replay marks',
  identity_sessions: 'the identity cookie is signed under the old root secret; users sign in once more',
  mail_links: 'live for minutes or hours; the user asks for another',
  notices: 'jobs of the old machine, which delivers them before it stops',
  portal_processes: 'processes of the old machine',
  portal_imports: 'what was imported into this very portal',
  suspensions: 'IP blocks last minutes',
  upstream_sessions: 'belong to identity sessions, which stay behind',
  tallies: 'the statistics of the old machine',
}
