import type { Database, Queryable } from './postgres.ts'

/** The SQL expression for whether only the owners of addresses in some domains may register. */
export const HAS_DOMAINS = 'EXISTS (SELECT FROM registration_domains)'

/** By name. */
export async function listRegistrationDomains({ pool }: Database): Promise<string[]> {
  const result = await pool.query<{ domain: string }>({
    name: 'registration-domains',
    text: 'SELECT domain FROM registration_domains ORDER BY domain COLLATE "C"',
  })
  return result.rows.map(({ domain }) => domain)
}

/** Transactions that race do so one after the other. */
export async function replaceRegistrationDomains(db: Queryable, domains: string[]): Promise<void> {
  await db.query('LOCK TABLE registration_domains IN SHARE ROW EXCLUSIVE MODE')
  await db.query('DELETE FROM registration_domains')
  await db.query('INSERT INTO registration_domains (domain) SELECT unnest($1::text[])', [domains])
}
