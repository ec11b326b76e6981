import { isLoopback, wrongSettings } from '../config.ts'
import { isSet, readEnvironment } from '../settings/environment.ts'

/** Where the admin API is below the issuer. */
export const ADMIN_API = '/api/admin/v1'

/** A portal on another machine, and the app in whose name commands administer it. */
export interface RemoteSettings {
  /** Its issuer. */
  url: string
  clientId: string
  clientSecret: string
}

/** The settings of a portal elsewhere; null without GATEHOUSE_URL. @throws ConfigError */
export function readRemoteSettings(env: NodeJS.ProcessEnv = process.env): RemoteSettings | null {
  const { values, faults } = readEnvironment(env)
  const ours = faults.filter((fault) => /^GATEHOUSE_(?:URL|CLIENT_ID|CLIENT_SECRET)/.test(fault))
  const { GATEHOUSE_URL: url, GATEHOUSE_CLIENT_ID: clientId, GATEHOUSE_CLIENT_SECRET: clientSecret } = values
  if (ours.length === 0 && (url ?? null) === null) return null
  if (url != null && !isSafe(url))
    ours.push(
      'GATEHOUSE_URL: must begin with https://; http is only allowed on loopback, because the secret is sent there',
    )
  if (clientId == null) ours.push('GATEHOUSE_CLIENT_ID: must be set, because GATEHOUSE_URL is')
  if (clientSecret == null && !ours.some((fault) => fault.startsWith('GATEHOUSE_CLIENT_SECRET')))
    ours.push('GATEHOUSE_CLIENT_SECRET: must be set, because GATEHOUSE_URL is')
  if (ours.length > 0) throw wrongSettings(ours)
  return { url, clientId, clientSecret } as RemoteSettings
}

function isSafe(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || isLoopback(hostname)
}

/** Prints to standard error which portal a command works on, as for one on this machine. */
export function sayRemote({ url, clientId }: RemoteSettings): void {
  process.stderr.write(`gatehouse: admin API as ${clientId}, issuer ${url}\n`)
}

/** Says that a command has nothing to do with the portal that GATEHOUSE_URL names. */
export function sayLocal(command: string): void {
  if (isSet(process.env['GATEHOUSE_URL']))
    process.stderr.write(`gatehouse: ${command} is about this machine; GATEHOUSE_URL has no effect on it\n`)
}
