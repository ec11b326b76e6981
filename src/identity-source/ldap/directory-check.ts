import { InvalidCredentialsError, NoSuchObjectError, ResultCodeError } from 'ldapts'
import { Connection, type Limits } from './connection.ts'
import { baseOf, type LdapSettings } from './ldap-settings.ts'

/** What a directory answered; `problem` says it without its text. */
export type DirectoryAnswer =
  /** The groups are those of the settings that it does not show. */
  | { kind: 'ready'; missingGroups: string[] }
  | { kind: 'unreachable' | 'certificate' | 'refuses-bind' | 'no-base' | 'refuses-search'; problem: string }

/** Connects, signs in as the portal, and looks for the entries that the settings name. */
export async function checkDirectory(settings: LdapSettings, limits: Limits): Promise<DirectoryAnswer> {
  let connection
  try {
    connection = await Connection.open(settings, limits)
  } catch (error) {
    return connectionTrouble(error as Error)
  }
  try {
    return await examine(connection, settings)
  } catch (error) {
    if (error instanceof ResultCodeError) return { kind: 'refuses-search', problem: error.name }
    return connectionTrouble(error as Error)
  } finally {
    connection.close()
  }
}

async function examine(connection: Connection, settings: LdapSettings): Promise<DirectoryAnswer> {
  try {
    await connection.bind(settings.bindDn, settings.password)
  } catch (error) {
    if (!(error instanceof ResultCodeError)) throw error
    return { kind: 'refuses-bind', problem: error instanceof InvalidCredentialsError ? 'wrong password' : error.name }
  }
  if (!(await isThere(connection, baseOf(settings)))) return { kind: 'no-base', problem: 'there is no such entry' }
  const missingGroups: string[] = []
  for (const { group } of settings.roleGroups) if (!(await isThere(connection, group))) missingGroups.push(group)
  return { kind: 'ready', missingGroups }
}

async function isThere(connection: Connection, dn: string): Promise<boolean> {
  try {
    return (await connection.search(dn, { scope: 'base', attributes: ['1.1'] })).length === 1
  } catch (error) {
    if (error instanceof NoSuchObjectError) return false
    throw error
  }
}

/** A certificate that is not trusted ends the connection, as a server does that is down. */
function connectionTrouble({ message, cause }: Error): DirectoryAnswer {
  const { code, message: words } = (cause ?? {}) as { code?: string; message?: string }
  const problem = code ?? message
  return /CERT|SIGNED|SIGNATURE|ISSUER|ALTNAME/.test(code ?? '') || /certificate|altnames/i.test(words ?? '')
    ? { kind: 'certificate', problem }
    : { kind: 'unreachable', problem }
}
