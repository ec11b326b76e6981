import { type Message, message } from '../../i18n/messages.ts'
import type { Services } from '../services.ts'
import { findApi } from './apis.ts'
import type { AppRow } from './apps.ts'
import { OPENID_SCOPES } from './openid-scopes.ts'
import { seenBy } from './seen-by.ts'

/**
 * What an app may have of a user: scopes of the portal and of the app's own audience, and those of other APIs by identifier. A
 * claim that no scope stands for is among the scopes, too, with a name of its own (`scopeOfClaim`).
 */
export interface Access {
  scopes: string[]
  resources: Record<string, string[]>
}

const CLAIM = 'claim:'

/** Stands for a claim that an app has configured, and that belongs to no scope. */
export function scopeOfClaim(claim: string): string {
  return CLAIM + claim
}

/** What of `asked` is not in `given`; null when nothing is missing. */
export function missingAccess(given: Access | null, asked: Access): Access | null {
  if (given === null) return asked
  const scopes = asked.scopes.filter((scope) => !given.scopes.includes(scope))
  const resources = Object.entries(asked.resources)
    .map(([identifier, all]): [string, string[], boolean] => {
      const known = Object.hasOwn(given.resources, identifier) ? given.resources[identifier] : undefined
      return [identifier, all.filter((scope) => !known?.includes(scope)), known === undefined]
    })
    .filter(([, missing, isNew]) => isNew || missing.length > 0)
    .map(([identifier, missing]): [string, string[]] => [identifier, missing])
  return scopes.length === 0 && resources.length === 0 ? null : { scopes, resources: Object.fromEntries(resources) }
}

/** Both together. */
export function unitedAccess(given: Access | null, added: Access): Access {
  const names = new Set([...Object.keys(given?.resources ?? {}), ...Object.keys(added.resources)])
  const scopesFor = (access: Access | null, name: string) =>
    access !== null && Object.hasOwn(access.resources, name) ? (access.resources[name] as string[]) : []
  return {
    scopes: [...new Set([...(given?.scopes ?? []), ...added.scopes])],
    resources: Object.fromEntries(
      [...names].map((name) => [name, [...new Set([...scopesFor(given, name), ...scopesFor(added, name)])]]),
    ),
  }
}

/** An access in words, a line each: what the app sees of the account, then which functions of which API it may use. */
export async function accessInWords(
  services: Services,
  app: Pick<AppRow, 'name'>,
  { scopes, resources }: Access,
): Promise<Message[]> {
  const claims = scopes.filter((scope) => scope.startsWith(CLAIM)).map((scope) => scope.slice(CLAIM.length))
  const ofUser = scopes.filter((scope) => isOpenidScope(scope) && scope !== 'offline_access')
  const own = scopes.filter((scope) => !isOpenidScope(scope) && !scope.startsWith(CLAIM))
  const lines: Message[] = ofUser.length + claims.length > 0 ? seenBy({ scopes: ofUser, claims }) : []
  if (own.length > 0) lines.push(message('access.own_functions', { app: app.name, functions: own.join(', ') }))
  for (const [identifier, functions] of Object.entries(resources)) {
    const name = (await findApi(services, identifier))?.name ?? identifier
    lines.push(
      functions.length === 0
        ? message('access.api', { api: name })
        : message('access.api_functions', { api: name, functions: functions.join(', ') }),
    )
  }
  if (scopes.includes('offline_access')) lines.push(message('access.offline'))
  return lines
}

function isOpenidScope(scope: string): boolean {
  return (OPENID_SCOPES as readonly string[]).includes(scope)
}
