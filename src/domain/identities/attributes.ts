import { insertAuditEvents } from '../../storage/audit.ts'
import { lockIdentity, updateAttributes } from '../../storage/identities.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { announceClaims } from './claim-changes.ts'

/** What an operator may call an attribute. */
export const ATTRIBUTE_NAME = /^[a-z][a-z0-9_]{0,63}$/

/** The most characters of a value, and the most attributes of an identity: tokens must fit into a header. */
const LONGEST_VALUE = 500
export const MOST_ATTRIBUTES = 50

export type AttributeOutcome = { kind: 'changed' | 'unchanged' } | { kind: 'refused'; problem: string }

/**
 * Sets an attribute of an identity, for the claims of apps; null removes it. Application tokens that contain it become stale.
 */
export async function setAttribute(
  services: Services,
  id: string,
  name: string,
  value: string | null,
): Promise<AttributeOutcome> {
  const problem = attributeProblem(name, value)
  if (problem !== null) return { kind: 'refused', problem }
  return transaction(services.storage.pool, (db) => changeIn(services, db, id, { [name]: value }))
}

/** Sets several attributes in a transaction of the caller; null removes one. @throws Refused */
export async function setAttributesIn(
  services: Services,
  db: Queryable,
  id: string,
  values: Record<string, string | null>,
): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    const problem = attributeProblem(name, value)
    if (problem !== null) throw new Refused(`${name}: ${problem}`)
  }
  const outcome = await changeIn(services, db, id, values)
  if (outcome.kind === 'refused') throw new Refused(outcome.problem)
}

async function changeIn(
  services: Services,
  db: Queryable,
  id: string,
  values: Record<string, string | null>,
): Promise<AttributeOutcome> {
  const identity = await lockIdentity(db, id)
  const before = (identity?.attributes ?? {}) as Record<string, string>
  const known = (name: string) => (Object.hasOwn(before, name) ? before[name] : null)
  const changed = Object.keys(values).filter((name) => known(name) !== values[name])
  if (identity === null || changed.length === 0) return { kind: 'unchanged' }
  const next = Object.entries({ ...before, ...values }).filter(([, value]) => value !== null) as [string, string][]
  if (next.length > Math.max(MOST_ATTRIBUTES, Object.keys(before).length))
    return { kind: 'refused', problem: `an identity has at most ${MOST_ATTRIBUTES} attributes` }

  await updateAttributes(db, id, Object.fromEntries(next), services.clock())
  const now = await announceClaims(services, db, id, { attributes: changed })
  await insertAuditEvents(
    db,
    changed.map((name) => ({ kind: 'attribute_changed', identityId: id, detail: name, actor: services.operator })),
    now,
  )
  return { kind: 'changed' }
}

/** Why an attribute cannot have this name or value; null when it can. */
export function attributeProblem(name: string, value: string | null): string | null {
  if (!ATTRIBUTE_NAME.test(name))
    return 'the name of an attribute has 1 to 64 small letters, digits or underscores, and begins with a letter'
  if (value === null) return null
  const fits = value !== '' && Array.from(value).length <= LONGEST_VALUE
  if (!fits) return `the value of an attribute has 1 to ${LONGEST_VALUE} characters`
  return value.isWellFormed() && !/\p{Cc}/u.test(value) ? null : 'the value of an attribute has no control characters'
}
