import type { Queryable } from '../../src/storage/postgres.ts'
import { addFamilies, addPeople, idOf } from '../../src/testing/portal/crowd.ts'
import { say } from '../output.ts'

/** How many of each an installation has. */
export interface Population {
  people: number
  families: number
  apps: number
  groups: number
  /** Of each identity. */
  groupsEach: number
  events: number
}

/** The client ids of its apps, the largest first: half of all families are of the first one. */
export function clientIdsOf({ apps }: Population): string[] {
  return Array.from({ length: apps }, (_, index) => `app-${String(index).padStart(4, '0')}`)
}

/** Rows in one statement. */
const STEP = 250_000

/** Fills empty tables by SQL, with rows as wide as real ones. The apps exist already. */
export async function populate(db: Queryable, population: Population, now: Date): Promise<void> {
  const { people, families, groups, groupsEach, events } = population
  const all = clientIdsOf(population)
  // The first app has as many families as all others together.
  const clientIds = all.flatMap((id) => [all[0] as string, id])
  await addPeople(db, people, now)
  await db.query(
    `UPDATE identities SET name = 'Person ' || username, disabled_at = CASE WHEN hashtext(username) % 50 = 0 THEN $1::timestamptz END
     WHERE hashtext(username) % 5 = 0`,
    [now],
  )
  await steps(families, 'families', async (from, count) =>
    addFamilies(db, { families: { from, count }, people, clientIds, endedPercent: 20 }, now),
  )
  await db.query(
    `INSERT INTO groups (id, name, name_key, roles, created_at, updated_at)
     SELECT ${idOf('group', 'n')}, 'Group ' || n, 'group ' || n, ARRAY['role' || n % 20], $2, $2 FROM generate_series(0, $1::int - 1) n`,
    [groups, now],
  )
  await db.query(
    `INSERT INTO group_members (group_id, identity_id, added_at)
     SELECT DISTINCT ${idOf('group', '(n * 7 + k * 31) % $2::int')}, ${idOf('identity', 'n')}, $4::timestamptz
     FROM generate_series(0, $1::int - 1) n, generate_series(1, $3::int) k`,
    [people, groups, groupsEach, now],
  )
  await db.query(
    `UPDATE identities i SET group_ids = joined.ids, groups = joined.names, roles = joined.roles FROM (
       SELECT m.identity_id, array_agg(g.id ORDER BY g.name_key) AS ids, array_agg(g.name ORDER BY g.name_key) AS names,
         array_agg(DISTINCT g.roles[1]) AS roles
       FROM group_members m JOIN groups g ON g.id = m.group_id GROUP BY m.identity_id) joined WHERE i.id = joined.identity_id`,
  )
  await steps(events, 'events', async (from, count) => addEvents(db, from, count, population, now))
}

async function addEvents(
  db: Queryable,
  from: number,
  count: number,
  { people, families, apps, events }: Population,
  now: Date,
): Promise<void> {
  await db.query(
    `INSERT INTO audit_events (at, kind, identity_id, client_id, family_id, cause, browser, address, actor, actor_id, actor_address)
     SELECT $6::timestamptz - interval '1 second' * ($7::int - n), kind, ${idOf('identity', 'n % $3::int')},
       CASE WHEN kind LIKE 'family%' THEN 'app-' || lpad((n % $4::int)::text, 4, '0') END,
       CASE WHEN kind LIKE 'family%' THEN ${idOf('family', 'n % $5::int')} END,
       CASE WHEN kind = 'family_ended' THEN CASE WHEN n % 1000 = 1 THEN 'reuse' ELSE 'signed_out' END END,
       CASE WHEN operated THEN NULL ELSE 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0' END,
       CASE WHEN operated THEN NULL ELSE '192.0.2.' || n % 250 END, CASE WHEN operated THEN 'operator' || n % 10 END,
       CASE WHEN operated THEN ${idOf('identity', 'n % 10')}::text END, CASE WHEN operated THEN '198.51.100.7' END
     FROM generate_series($1::int, $2::int) n,
       LATERAL (SELECT n % 997 = 0 AS operated) o,
       LATERAL (SELECT CASE WHEN operated THEN 'roles_changed' ELSE
         (ARRAY['signed_in', 'family_opened', 'family_ended', 'family_opened', 'sign_in_refused'])[1 + n % 5] END AS kind) k`,
    [from, from + count - 1, people, apps, families, now, events],
  )
}

async function steps(total: number, what: string, add: (from: number, count: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < total; from += STEP) {
    const count = Math.min(STEP, total - from)
    await add(from, count)
    if (total > STEP) say(`  ${from + count} of ${total} ${what}`)
  }
}
