import { z } from 'zod'
import { readAuditSeal } from '../domain/audit/seal.ts'
import {
  CHECKPOINT_PROBLEMS,
  EVENT_PROBLEMS,
  type Finding,
  MOST_FINDINGS,
  verifyAuditLog,
} from '../domain/audit/verification.ts'
import { operation } from './operation.ts'

const witness = z
  .string()
  .regex(/^[1-9]\d{0,17}:[\da-f]{64}$/i, 'must be the number and the hash of a checkpoint, as in 12:9f86…')

const finding = z
  .object({
    event: z.string().nullable().describe('The id of the audit event.'),
    checkpoint: z
      .string()
      .nullable()
      .describe('The number of the checkpoint that it belongs to, or that is not as it was.'),
    problem: z.enum([...(Object.keys(EVENT_PROBLEMS) as []), ...(Object.keys(CHECKPOINT_PROBLEMS) as [])] as string[]),
    meaning: z.string(),
  })
  .meta({ id: 'AuditFinding' })

const verification = z
  .object({
    intact: z.boolean(),
    first_altered: finding.nullable().describe('The first event that is not as it was sealed.'),
    altered_events: z.number().int().describe('How many events are not as they were sealed.'),
    findings: z.array(finding).describe(`In the order of the log, ${MOST_FINDINGS} at most.`),
    findings_total: z.number().int(),
    events: z.number().int().describe('How many sealed events were compared.'),
    checkpoints: z.number().int(),
    newest_checkpoint: z
      .object({ number: z.string(), hash: z.string(), at: z.iso.datetime().nullable() })
      .nullable()
      .describe('To be kept elsewhere: a later verification takes it as the witness.'),
    unsealed_events: z.number().int().describe('Events after the newest checkpoint, which nothing protects yet.'),
    unsealed_since: z.iso.datetime().nullable(),
  })
  .meta({ id: 'AuditVerification' })

const seal = z
  .object({
    newest_checkpoint: z
      .object({
        number: z.string(),
        hash: z.string(),
        at: z.iso.datetime().nullable(),
        up_to: z.string().describe('The id of its last event.'),
      })
      .nullable()
      .describe('To be kept elsewhere: a later verification takes it as the witness.'),
    unsealed_since: z.iso.datetime().nullable().describe('When the first event was written that is not sealed yet.'),
  })
  .meta({ id: 'AuditSeal' })

export const AUDIT_VERIFICATION_OPERATIONS = {
  readAuditSeal: operation({
    name: 'readAuditSeal',
    summary: 'How far the audit log is sealed. Whether it is as it was sealed, its verification says.',
    method: 'get',
    path: '/audit-events/seal',
    resource: 'audit-events',
    kind: 'read',
    forSupport: true,
    input: z.strictObject({}),
    output: seal,
    async act(services) {
      const { newest, unsealedSince } = await readAuditSeal(services)
      return {
        newest_checkpoint: newest && {
          number: newest.number,
          hash: newest.hash,
          at: timeOf(newest.at),
          up_to: newest.upTo,
        },
        unsealed_since: timeOf(unsealedSince),
      }
    },
  }),

  verifyAuditLog: operation({
    name: 'verifyAuditLog',
    summary: 'Compare the whole audit log with its signed checkpoints, and name every event that is not as it was.',
    method: 'get',
    path: '/audit-events/verification',
    resource: 'audit-events',
    kind: 'read',
    forSupport: false,
    input: z.strictObject({
      checkpoint: witness.optional().describe('A checkpoint that was noted before, as `<number>:<hash>`.'),
    }),
    output: verification,
    async act(services, { checkpoint }) {
      const [number = '', hash = ''] = checkpoint?.split(':') ?? []
      const found = await verifyAuditLog(services, checkpoint === undefined ? null : { number, hash })
      const findings = found.findings.map(describe)
      return {
        intact: found.total === 0,
        first_altered: findings.find(({ event }) => event !== null) ?? null,
        altered_events: found.wrongEvents,
        findings,
        findings_total: found.total,
        events: found.events,
        checkpoints: found.checkpoints,
        newest_checkpoint: found.newest && { ...found.newest, at: timeOf(found.newest.at) },
        unsealed_events: found.unsealed.count,
        unsealed_since: timeOf(found.unsealed.since),
      }
    },
  }),
}

function describe(found: Finding): z.output<typeof finding> {
  return found.about === 'event'
    ? { event: found.id, checkpoint: found.checkpoint, problem: found.problem, meaning: EVENT_PROBLEMS[found.problem] }
    : { event: null, checkpoint: found.number, problem: found.problem, meaning: CHECKPOINT_PROBLEMS[found.problem] }
}

/** Null also for a time that a superuser has set to infinity, which the driver reads as a number. */
function timeOf(at: Date | null): string | null {
  const time = Number(at ?? Infinity)
  return Number.isFinite(time) ? new Date(time).toISOString() : null
}
