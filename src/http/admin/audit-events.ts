import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Request, Response } from 'express'
import type { AnswerOf } from '../../administration/operation.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import { END_CAUSES } from '../../domain/endings/end-causes.ts'
import { REFUSAL_REASONS } from '../../domain/refusals.ts'
import { Refused } from '../../domain/refused.ts'
import { browserMessage } from '../../domain/user-agents.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { act } from './act.ts'
import { renderAdmin } from './admin-page.ts'
import { AUDIT_SENTENCES, auditSentence } from './audit-words.ts'

type AuditSeal = AnswerOf<typeof OPERATIONS.readAuditSeal>
type AuditEvent = AnswerOf<typeof OPERATIONS.listAuditEvents>['items'][number]

/** Events are sealed every 15 seconds; after this long something keeps them from it. */
const LATE_AFTER_MS = 300_000
const FIELDS = ['identity', 'operator', 'client_id', 'kind', 'cause', 'from', 'to'] as const
type Filter = Record<(typeof FIELDS)[number], string>

/** GET /admin/audit */
export async function listAuditEvents(req: Request, res: Response): Promise<void> {
  const filter = readFilter(req)
  const { cursor } = req.query as { cursor?: string }
  const { t } = textsOf(req)
  const input = { ...inputOf(filter), ...(cursor === undefined ? {} : { cursor }) }
  let problem: string | null = null
  const page = await act(req, OPERATIONS.listAuditEvents, input).catch((error: unknown) => {
    // What does not exist is named beside the fields.
    if (!(error instanceof Refused)) throw error
    problem = error.message
    return { items: [], next_cursor: null }
  })
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== ''))
  const hrefWith = (path: string, more: Record<string, string>) =>
    `${path}?${new URLSearchParams({ ...Object.fromEntries(query), ...more })}`
  await renderAdmin(
    req,
    problem === null ? res : res.status(422),
    'admin/audit/index',
    { title: t('admin.audit.title'), section: 'audit' },
    {
      filter,
      problem,
      isFiltered: query.size > 0,
      kinds: Object.keys(AUDIT_SENTENCES),
      causes: [...Object.keys(END_CAUSES), ...Object.keys(REFUSAL_REASONS)],
      events: page.items.map((event) => describe(req, event)),
      csvHref: hrefWith('/admin/audit/export', { format: 'csv' }),
      jsonlHref: hrefWith('/admin/audit/export', { format: 'jsonl' }),
      seal: sealInWords(req, await act(req, OPERATIONS.readAuditSeal, {})),
      nextHref: page.next_cursor && hrefWith('/admin/audit', { cursor: page.next_cursor }),
    },
  )
}

/** GET /admin/audit/export */
export async function exportAuditEvents(req: Request, res: Response): Promise<void> {
  const { format } = req.query as { format?: string }
  const isCsv = format === 'csv'
  const input = { ...inputOf(readFilter(req)), format: isCsv ? 'csv' : 'jsonl' }
  const lines: unknown = await act(req, OPERATIONS.exportAuditEvents, input)
  res.type(isCsv ? 'text/csv; charset=utf-8' : 'application/x-ndjson; charset=utf-8')
  res.attachment(`audit-log.${isCsv ? 'csv' : 'jsonl'}`)
  // The next events are read when the browser has taken those before.
  await pipeline(Readable.from(lines as AsyncIterable<string>), res).catch((error: unknown) => {
    if (!res.destroyed) throw error
  })
}

function readFilter(req: Request): Filter {
  const query = req.query as Record<string, unknown>
  const valueOf = (field: string) => {
    const value = query[field]
    return typeof value === 'string' ? value.trim().slice(0, 300) : ''
  }
  return Object.fromEntries(FIELDS.map((field) => [field, valueOf(field)])) as Filter
}

/** Times without a zone, as the fields of the page send them, are in UTC. */
function inputOf(filter: Filter): Record<string, string> {
  const given = Object.entries(filter).filter(([, value]) => value !== '')
  return Object.fromEntries(
    given.map(([field, value]) => {
      const isTime = field === 'from' || field === 'to'
      return [field, isTime && /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(value) ? `${value}:00Z` : value]
    }),
  )
}

function describe(req: Request, event: AuditEvent) {
  const texts = textsOf(req)
  const { username, identity_id: identityId, client_id: clientId, app_name: appName, actor } = event
  const place = [event.browser === null ? null : texts.say(browserMessage(event.browser)), event.address]
  return {
    sentence: auditSentence(event),
    by:
      actor === null
        ? null
        : event.actor_address === null
          ? message('admin.audit.by_operator', { operator: actor })
          : message('admin.audit.by_operator_from', { operator: actor, address: event.actor_address }),
    at: texts.time(new Date(event.at), servicesOf(req).clock()),
    kind: event.kind,
    place: place.filter((part) => part !== null),
    only: [
      ...(identityId === null ? [] : [onlyLink('identity', identityId, texts.t('admin.audit.only_person'), username)]),
      ...(clientId === null ? [] : [onlyLink('client_id', clientId, texts.t('admin.audit.only_app'), appName)]),
    ],
  }
}

/** Up to when the log is sealed, and since when events wait for it, where that is longer than usual. */
function sealInWords(req: Request, { newest_checkpoint: newest, unsealed_since: since }: AuditSeal): Message {
  const { clock } = servicesOf(req)
  const texts = textsOf(req)
  const isLate = since !== null && clock().getTime() - Date.parse(since) > LATE_AFTER_MS
  if (isLate) return message('admin.audit.unsealed', { since: texts.time(new Date(since), clock()).text })
  if (newest === null || newest.at === null) return message('admin.audit.not_sealed_yet')
  const { number, hash, at } = newest
  return message('admin.audit.sealed', { at: texts.time(new Date(at), clock()).text, checkpoint: `${number}:${hash}` })
}

function onlyLink(field: string, value: string, label: string, name: string | null) {
  return { href: `/admin/audit?${new URLSearchParams({ [field]: value })}`, label, full: `${label}: ${name ?? value}` }
}
