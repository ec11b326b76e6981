import type { AnyOperation } from '../../src/administration/operation.ts'
import { OPERATIONS } from '../../src/administration/operations.ts'
import type { Queryable } from '../../src/storage/postgres.ts'
import { idOf } from '../../src/testing/portal/crowd.ts'

/** An operation with an input that a large installation makes costly. */
export interface Question {
  operation: AnyOperation
  /** What is special about the input. */
  about: string
  input: Record<string, unknown>
  /** Whether the page after the first, and one far behind, are asked for, too. */
  isList: boolean
}

/** Ids and names that the population has. */
export interface Known {
  identity: string
  username: string
  group: string
  client_id: string
  family: string
}

/** Of each noun one that has much. */
export async function knownIn(db: Queryable): Promise<Known> {
  const { rows } = await db.query<Known>(
    `SELECT ${idOf('identity', '7')}::text AS identity, 'person7' AS username, ${idOf('group', '49')}::text AS "group",
       'app-0000' AS client_id, ${idOf('family', '7')}::text AS family`,
  )
  return rows[0] as Known
}

type Inputs = (known: Known) => Record<string, Record<string, unknown>>

/** The inputs of every operation that reads, by what is special about them. */
const INPUTS: Partial<Record<keyof typeof OPERATIONS, Inputs>> = {
  listGroups: () => ({ all: {}, 'by prefix': { search: 'group 1' } }),
  showGroup: ({ group }) => ({ one: { group } }),
  listGroupMembers: ({ group }) => ({ 'of a large one': { group } }),
  listIdentities: ({ group }) => ({
    all: {},
    'by the beginning of a name': { search: 'person1' },
    'by an e-mail address': { search: 'person77@example.test' },
    'by a name that there is not': { search: 'zzz' },
    disabled: { state: 'disabled' },
    deleted: { state: 'deleted' },
    'with a common role': { role: 'role3' },
    'with a role that there is not': { role: 'none' },
    'of a group': { group },
    'of a group, disabled': { group, state: 'disabled' },
    'with a role, by the beginning of a name': { role: 'role3', search: 'person1' },
  }),
  showIdentity: ({ identity }) => ({ one: { identity } }),
  listIdentitySessions: ({ identity }) => ({ 'of one': { identity } }),
  listIdentityFamilies: ({ identity, client_id }) => ({
    'of one': { identity },
    'of one in an app': { identity, client_id },
  }),
  listIdentityEvents: ({ identity }) => ({ 'of one': { identity } }),
  listFamilies: ({ identity, client_id }) => ({ 'of the largest app': { client_id }, 'of an identity': { identity } }),
  showFamily: ({ family }) => ({ one: { family } }),
  listApps: () => ({ all: {}, 'by prefix': { search: 'app-00' }, disabled: { state: 'disabled' } }),
  showApp: ({ client_id }) => ({ 'the largest': { client_id } }),
  listAppRoles: ({ client_id }) => ({ 'of one': { client_id } }),
  listApis: () => ({ all: {} }),
  listInvitations: () => ({ all: {}, 'by prefix': { search: 'person1' } }),
  listIpBlocks: () => ({ all: {} }),
  showNotificationQueue: () => ({ all: {} }),
  listNotifications: ({ client_id }) => ({ all: {}, 'of an app': { client_id } }),
  showMailQueue: () => ({ all: {} }),
  listFailedMails: () => ({ all: {} }),
  listAuditEvents: ({ identity, client_id }) => ({
    all: {},
    'of an identity': { identity },
    'of an operator': { operator: 'operator3' },
    'of an app': { client_id },
    'of a rare kind': { kind: 'roles_changed' },
    'of a common kind': { kind: 'signed_in' },
    'of a rare cause': { cause: 'reuse' },
    'of an app and a rare cause': { client_id, cause: 'reuse' },
    'of an operator and a kind that it never did': { operator: 'operator3', kind: 'signed_in' },
    'of an identity and a kind': { identity, kind: 'signed_in' },
    'long ago': { to: '2026-01-01T00:00:00Z' },
    'of a kind that there is not': { kind: 'signing_key_revoked' },
  }),
  listSigningKeys: () => ({ all: {} }),
  listFindings: () => ({ 'without other servers': { kind: 'quick' } }),
  listRootSecrets: () => ({ all: {} }),
  showStatistics: ({ client_id }) => ({ 'of all': { range: 'month' }, 'of an app': { range: 'month', client_id } }),
}

/** They read one row by its key, or all of it, page by page. */
const UNMEASURED: readonly string[] = [
  'showApi',
  'listIdentityProviders',
  'showIdentityProvider',
  'checkIdentityProvider',
  'showRegistration',
  'showInvitation',
  'exportAuditEvents',
  'verifyAuditLog',
  'readAuditSeal',
]

/** The operations that read, which are measured. */
export function listReads(): AnyOperation[] {
  return Object.values(OPERATIONS as Record<string, AnyOperation>).filter(
    ({ kind, name }) => kind === 'read' && !UNMEASURED.includes(name),
  )
}

/** @throws Error for an operation without inputs, so that none is forgotten */
export function listQuestions(known: Known): Question[] {
  return listReads().flatMap((operation) => {
    const inputs = INPUTS[operation.name as keyof typeof OPERATIONS]
    if (inputs === undefined) throw new Error(`${operation.name} has no inputs in bench/administration/questions.ts`)
    return Object.entries(inputs(known)).map(([about, input]) => ({
      operation,
      about,
      input,
      isList: operation.name.startsWith('list'),
    }))
  })
}
