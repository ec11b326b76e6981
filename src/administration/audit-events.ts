import { z } from 'zod'
import {
  type AuditChoice,
  type SearchedAuditRow,
  searchAuditEvents,
  streamAuditEvents,
} from '../domain/audit-search.ts'
import { findIdentity, findIdentityByLogin } from '../domain/identities/identities.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { isUuid } from '../domain/uuid.ts'
import { csvLine, jsonLine } from './export-lines.ts'
import { operation } from './operation.ts'
import { keyIn, listOf, PAGE } from './pages-of-lists.ts'

const auditEvent = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    kind: z.string().describe('What happened, such as `signed_in`.'),
    identity_id: z.uuid().nullable(),
    username: z.string().nullable().describe('The user name that the identity has now.'),
    client_id: z.string().nullable(),
    app_name: z.string().nullable().describe('The name that the app has now.'),
    family_id: z.uuid().nullable(),
    identity_session_id: z.uuid().nullable(),
    cause: z.string().nullable().describe('Why something ended.'),
    detail: z.string().nullable(),
    browser: z.string().nullable().describe('The User-Agent header.'),
    address: z.string().nullable().describe('The IP address of the user or app.'),
    actor: z.string().nullable().describe('The operator; null for what users, apps and time do.'),
    actor_id: z.string().nullable(),
    actor_address: z.string().nullable(),
  })
  .meta({ id: 'AuditEvent' })

const name = z.string().min(1).max(300)
const FILTER = {
  identity: z.string().min(1).max(254).optional().describe('Of this identity: its id, user name or e-mail address.'),
  operator: name.optional().describe('What this operator did.'),
  client_id: name.optional().describe('About this app.'),
  kind: name.optional().describe('Of this kind.'),
  cause: name.optional().describe('With this cause.'),
  from: z.iso.datetime({ offset: true }).optional().describe('From this time on.'),
  to: z.iso.datetime({ offset: true }).optional().describe('Before this time.'),
}

const about = { resource: 'audit-events', kind: 'read', forSupport: true } as const

export const AUDIT_EVENT_OPERATIONS = {
  listAuditEvents: operation({
    name: 'listAuditEvents',
    summary:
      'List what happened, newest first. A page may have fewer items than `limit`, or none, and still a `next_cursor`.',
    method: 'get',
    path: '/audit-events',
    ...about,
    input: z.strictObject({ ...FILTER, ...PAGE }),
    output: listOf(auditEvent),
    async act(services, { limit, cursor, ...filter }) {
      const before = keyIn(cursor, 1)?.[0] ?? null
      if (before !== null && !/^\d{1,18}$/.test(before))
        throw new Refused('cursor: is not the next_cursor of an answer')
      const { rows, next } = await searchAuditEvents(services, await choiceOf(services, filter), before, limit)
      const cursorOf = (id: string) => Buffer.from(JSON.stringify([id])).toString('base64url')
      return { items: rows.map(auditEventInJson), next_cursor: next && cursorOf(next) }
    },
  }),

  exportAuditEvents: operation({
    name: 'exportAuditEvents',
    summary: 'Export what happened, newest first, as CSV (RFC 4180) or as JSON lines.',
    method: 'get',
    path: '/audit-events/export',
    ...about,
    input: z.strictObject({ ...FILTER, format: z.enum(['csv', 'jsonl']).default('jsonl') }),
    output: null,
    stream: { csv: 'text/csv', jsonl: 'application/x-ndjson' },
    async act(services, { format, ...filter }) {
      return exportOf(services, await choiceOf(services, filter), format)
    },
  }),
}

const COLUMNS = Object.keys(auditEvent.shape) as (keyof z.output<typeof auditEvent>)[]

/** A batch of lines at a time. */
async function* exportOf(services: Services, choice: AuditChoice, format: 'csv' | 'jsonl'): AsyncGenerator<string> {
  if (format === 'csv') yield csvLine(COLUMNS)
  for await (const rows of streamAuditEvents(services, choice)) {
    const lines = rows.map((row) => {
      const event = auditEventInJson(row)
      return format === 'csv' ? csvLine(COLUMNS.map((column) => event[column])) : jsonLine(event)
    })
    yield lines.join('')
  }
}

async function choiceOf(
  services: Services,
  { identity, operator, client_id: clientId, kind, cause, from, to }: z.output<z.ZodObject<typeof FILTER>>,
): Promise<AuditChoice> {
  return {
    identityId: identity === undefined ? undefined : await identityIdOf(services, identity),
    actor: operator,
    clientId,
    kind,
    cause,
    from: from === undefined ? undefined : new Date(from),
    to: to === undefined ? undefined : new Date(to),
  }
}

/** The id of an identity that may be erased by now. */
async function identityIdOf(services: Services, login: string): Promise<string> {
  if (isUuid(login) && (await findIdentity(services, login)) !== null) return login
  const found = await findIdentityByLogin(services, login)
  if (found !== null) return found.id
  if (isUuid(login)) return login
  throw new Refused(`there is no identity ${login}`, 'not_found')
}

/** An event as operators and their programs get it. */
export function auditEventInJson(row: SearchedAuditRow): z.output<typeof auditEvent> {
  return {
    id: row.id,
    at: row.at.toISOString(),
    kind: row.kind,
    identity_id: row.identityId,
    username: row.username,
    client_id: row.clientId,
    app_name: row.appName,
    family_id: row.familyId,
    identity_session_id: row.identitySessionId,
    cause: row.cause,
    detail: row.detail,
    browser: row.browser,
    address: row.address,
    actor: row.actor,
    actor_id: row.actorId,
    actor_address: row.actorAddress,
  }
}
