import * as fs from 'node:fs/promises'
import { dirname } from 'node:path'

export interface Owner {
  uid: number
  gid: number
}

/** The folder of what the server's user must reach, when it may not enter the data folder. */
export const SYSTEM_FOLDER = '/var/lib/gatehouse'

/** The user a server started by root runs as (PostgreSQL refuses root): `postgres`, else `nobody`. Null: the current user. */
export async function findOwner(): Promise<Owner | null> {
  if (process.getuid?.() !== 0) return null
  const users = (await fs.readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return user === undefined ? { uid: 65_534, gid: 65_534 } : { uid: Number(user[2]), gid: Number(user[3]) }
}

/** True when every folder down to this one lets any user pass. */
export async function isSearchable(folder: string): Promise<boolean> {
  const { mode } = await fs.stat(folder)
  if ((mode & 0o001) === 0) return false
  const parent = dirname(folder)
  return parent === folder || isSearchable(parent)
}
