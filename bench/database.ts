import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { stopBeforeExit } from '../src/testing/services/shutdown.ts'

export interface Database {
  url: string
  drop(): Promise<void>
}

/** An empty database on this server; dropped with this process at the latest. */
export async function createDatabase(serverUrl: string): Promise<Database> {
  const name = `gatehouse_bench_${randomBytes(6).toString('hex')}`
  await administer(serverUrl, `CREATE DATABASE ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  const drop = stopBeforeExit(() => administer(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`))
  return { url: url.href, drop }
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
