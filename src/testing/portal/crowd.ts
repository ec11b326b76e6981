import type { Queryable } from '../../storage/postgres.ts'

export interface Crowd {
  /** How many people, and from which number on; each has five families, in two browsers. */
  families: { from: number; count: number }
  people: number
  /** Registered apps; the families are spread over them. */
  clientIds: string[]
  /** How many of a hundred families have ended, in the last eighty days. */
  endedPercent: number
}

/** How many people and browsers belong to this many families. */
const FAMILIES_EACH = 5
const BROWSERS_EACH = 2

export function peopleOf(families: number): number {
  return Math.ceil(families / FAMILIES_EACH)
}

/** Person, browser, family and group number n have computable ids, which lie as far apart as random ones. */
export function idOf(noun: 'identity' | 'session' | 'family' | 'group', number: string): string {
  return `md5('${noun} ' || (${number}))::uuid`
}

const BROWSER =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'

/** People of a long-running installation, with their browsers, as wide as real rows. */
export async function addPeople(db: Queryable, people: number, now: Date): Promise<void> {
  await db.query(
    `INSERT INTO identities (id, username, username_key, email, email_key, email_verified, password_hash, roles, created_at, updated_at)
     SELECT ${idOf('identity', 'n')}, 'person' || n, 'person' || n, 'person' || n || '@example.test', 'person' || n || '@example.test', true,
       '$argon2id$v=19$m=19456,t=2,p=1$' || md5(n::text) || '$' || md5(n::text) || md5(n::text), '{}', $2::timestamptz, $2
     FROM generate_series(0, $1::int - 1) n`,
    [people, now],
  )
  await db.query(
    `INSERT INTO identity_sessions (id, identity_id, created_at, last_seen_at, expires_at, review_at, amr, browser, address)
     SELECT ${idOf('session', 'n')}, ${idOf('identity', 'n % $1::int')}, $2::timestamptz - interval '1 day' * (n % 80), $2,
       $2::timestamptz + interval '1 day' * (90 - n % 80), $2::timestamptz + interval '1 day' * 10, '{pwd}', $3, '192.0.2.' || n % 250
     FROM generate_series(0, $1::int * ${BROWSERS_EACH} - 1) n`,
    [people, now, BROWSER],
  )
}

/** Their families. No token opens them; a test that refreshes one stores the hash of its token there. */
export async function addFamilies(db: Queryable, crowd: Crowd, now: Date): Promise<void> {
  await db.query(
    `INSERT INTO families (id, client_id, identity_id, identity_session_id, generation, current_hash, previous_hash, rotated_at, scope, sid, amr,
       auth_time, created_at, last_used_at, idle_expires_at, expires_at, review_at, lifetime, first_rotated_at, seen,
       browser, address, ended_at, end_cause, opened_silently, replaced_by)
     SELECT ${idOf('family', 'n')}, ($4::text[])[1 + abs(hashint4(n)) % cardinality($4::text[])], ${idOf('identity', 'n % $3::int')},
       ${idOf('session', `n % ($3::int * ${BROWSERS_EACH})`)}, 1 + n % 500, sha256(n::text::bytea), sha256((-n)::text::bytea), $5::timestamptz,
       'openid profile email', md5(n::text), '{pwd}', 1, $5::timestamptz - interval '1 day' * (n % 80), $5,
       $5::timestamptz + interval '1 day' * least(30, 90 - n % 80), $5::timestamptz + interval '1 day' * (90 - n % 80),
       $5::timestamptz + interval '1 day' * least(30, 90 - n % 80), 'browser', $5, ARRAY['192.0.2.' || n % 250 || ' ' || left($6, 100)], $6,
       '192.0.2.' || n % 250, CASE WHEN n % 100 < $7 THEN $5::timestamptz - interval '1 hour' * (n % 1920) END,
       CASE WHEN n % 100 < $7 THEN CASE WHEN n % 10 = 3 THEN 'replaced' ELSE 'signed_out' END END, n % 10 = 3,
       CASE WHEN n % 100 < $7 AND n % 10 = 3 THEN ${idOf('family', 'n + 1')} END
     FROM generate_series($1::int, $2::int) n`,
    [
      crowd.families.from,
      crowd.families.from + crowd.families.count - 1,
      crowd.people,
      crowd.clientIds,
      now,
      BROWSER,
      crowd.endedPercent,
    ],
  )
}
