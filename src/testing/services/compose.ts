import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const ROOT = join(import.meta.dirname, '../../..')

export interface ComposeService {
  image: string
  build?: string
  user?: string
  command?: string[]
  environment?: Record<string, string>
  secrets?: string[]
  volumes?: string[]
  ports?: string[]
  networks?: string[] | Record<string, unknown>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { disable?: boolean; test?: string[] }
  restart?: string
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  logging?: { options: Record<string, string> }
  mem_limit?: string
  pids_limit?: number
}

export interface ComposeFile {
  services: Record<string, ComposeService>
  networks: Record<string, { internal?: boolean }>
  volumes: Record<string, unknown>
  secrets: Record<string, { file: string }>
}

/** docker-compose.yml as text. */
export const composeText = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')

/** A variable of the Compose file, such as `${NAME:-default}`, `${NAME:?message}` or `${NAME:+replacement}`; without the colon, empty is set. */
export const COMPOSE_VARIABLE = /\$\{(\w+)(?:(:?)([-?+])([^}]*))?\}/g

/** docker-compose.yml with these variables put in, as Compose reads it. @throws Error with its message for one that must be set */
export function readCompose(variables: Record<string, string>): ComposeFile {
  const put = (text: string) =>
    text.replaceAll(COMPOSE_VARIABLE, (_whole, name: string, colon = '', kind = '-', words = '') => {
      const value = variables[name]
      const isSet = colon === '' ? value !== undefined : Boolean(value)
      if (kind === '?' && !isSet) throw new Error(`${name}: ${words}`)
      if (kind === '+') return isSet ? words : ''
      return isSet ? (value as string) : words
    })
  const reviver = (_key: unknown, value: unknown) => (typeof value === 'string' ? put(value) : value)
  return parse(composeText, reviver, { merge: true }) as ComposeFile
}
