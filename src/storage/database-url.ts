import pg from 'pg'
import { clientClassOf } from './embedded/scram-client.ts'

/**
 * The schema that a URL names: `schema=` as Prisma writes it, `search_path=`, or libpq's `options=-c search_path=…`. Null where
 * it names none, and the role of the database decides.
 */
export function schemaOf(url: string): string | null {
  const { searchParams } = new URL(url)
  const option = /(?:^|\s)(?:-c\s*|--)search_path=((?:\\.|\S)+)/.exec(searchParams.get('options') ?? '')?.[1]
  const path = searchParams.get('schema') ?? searchParams.get('search_path') ?? option?.replaceAll(/\\(.)/g, '$1')
  return (
    path
      ?.split(',', 1)[0]
      ?.trim()
      .replace(/^"(.*)"$/, '$1') || null
  )
}

/** The same URL with its schema as an option of every connection, which is how PostgreSQL takes it. */
export function withSchema(url: string, schema = schemaOf(url)): string {
  if (schema === null) return url
  const changed = new URL(url)
  const others = (changed.searchParams.get('options') ?? '').replace(/(?:^|\s)(?:-c\s*|--)search_path=(?:\\.|\S)+/, '')
  const path = pg.escapeIdentifier(schema).replaceAll(/[\\\s]/g, '\\$&')
  for (const name of ['schema', 'search_path']) changed.searchParams.delete(name)
  changed.searchParams.set('options', `${others} -c search_path=${path}`.trim())
  return changed.href
}

/** What libpq tries, in order, for these values of `sslmode`; other values of it name one way only. */
const TLS_ATTEMPTS: Record<string, string[]> = { prefer: ['no-verify', 'disable'], allow: ['disable', 'no-verify'] }

/**
 * Settles `sslmode=prefer` and `allow` by connecting, as libpq means them: with TLS and else without, or the other way round.
 * pg knows neither. @returns a URL with a mode that pg knows
 */
export async function settleTls(url: string): Promise<string> {
  const modes = TLS_ATTEMPTS[new URL(url).searchParams.get('sslmode') ?? ''] ?? []
  let refusal: Error | null = null
  for (const mode of modes) {
    const settled = new URL(url)
    settled.searchParams.set('sslmode', mode)
    const client = new (clientClassOf(url))({ connectionString: settled.href, connectionTimeoutMillis: 10_000 })
    client.on('error', () => {})
    try {
      await client.connect()
      return settled.href
    } catch (error) {
      if (!isAboutTls(error)) throw error
      refusal ??= error as Error
    } finally {
      await client.end().catch(() => {})
    }
  }
  if (refusal !== null) throw refusal
  return url
}

/** The server speaks no TLS, TLS fails, or its pg_hba.conf wants the other way (SQLSTATE 28000). */
function isAboutTls(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string }
  return code === '28000' || /SSL|TLS/i.test(`${code ?? ''} ${message}`)
}
