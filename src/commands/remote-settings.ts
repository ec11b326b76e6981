import { isLoopback, wrongSettings } from '../config.ts'
import { isSet, readEnvironment } from '../settings/environment.ts'

/** A portal on another machine, and the app in whose name commands administer it. */
export interface RemoteSettings {
  /** Its issuer. */
  url: string
  clientId: string
  clientSecret: string
}

/** The settings of a portal elsewhere; null without GATEHOUSE_URL. @throws ConfigError */
export function readRemoteSettings(env: NodeJS.ProcessEnv = process.env): RemoteSettings | null {
  const { given, values, faults } = readEnvironment(env)
  if (given.GATEHOUSE_URL === undefined) return null
  const ours = faults.filter((fault) => NAMES.some((name) => fault.startsWith(name)))
  const { GATEHOUSE_URL: url, GATEHOUSE_CLIENT_ID: clientId, GATEHOUSE_CLIENT_SECRET: clientSecret } = values
  if (ours.length > 0) throw wrongSettings(ours)
  const missing = NAMES.filter((name) => given[name] === undefined)
  if (missing.length > 0) throw wrongSettings(missing.map((name) => `${name}: must be set where GATEHOUSE_URL is`))
  const settings = { url, clientId, clientSecret } as RemoteSettings
  if (isSafe(settings.url)) return settings
  throw wrongSettings(['GATEHOUSE_URL: must begin with https://; http is only allowed on loopback'])
}

const NAMES = ['GATEHOUSE_URL', 'GATEHOUSE_CLIENT_ID', 'GATEHOUSE_CLIENT_SECRET'] as const

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
