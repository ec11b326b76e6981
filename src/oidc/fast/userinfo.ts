import type { IncomingMessage, ServerResponse } from 'node:http'
import { findPerson } from '../../domain/families/application-tokens.ts'
import { attributeClaims, rolesIn } from '../../domain/identities/claims.ts'
import { subjectOf } from '../../domain/identities/subjects.ts'
import type { Services } from '../../domain/services.ts'
import { userinfoOf } from '../account.ts'
import { answerPlainly, unlessItFails } from './answers.ts'

/**
 * Fast path of the userinfo request that nearly every app sends (OpenID Connect Core §5.3.1): a GET with a bearer token. One
 * statement answers it. Only success is answered here; everything else is left to the library.
 * @returns false when the request, untouched, is left to the library
 * @throws what makes `isUnavailable` true while the store is unavailable
 */
export async function answerPlainUserinfo(
  services: Services,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  const token = tokenOf(req)
  const found = token === null ? null : await unlessItFails(findPerson(services, token))
  if (found === null) return false

  const { claims, person } = found
  const scopes = claims.scope?.split(' ') ?? []
  if (!scopes.includes('openid') || claims.cnf !== undefined) return false
  const granted = person.scope.split(' ').filter((scope) => scopes.includes(scope))
  const { id, sectorUri, appRoles } = person
  const subject = { sub: subjectOf(services, id, sectorUri), source: person, roles: rolesIn(person.roles, appRoles) }
  answerPlainly(res, { ...userinfoOf(subject, granted), ...attributeClaims(person, person.attributeClaims) })
  return true
}

/** The token of a request with nothing else in it: no body, no DPoP proof, not cross-origin. */
function tokenOf({ method, headers }: IncomingMessage): string | null {
  const isPlain =
    method === 'GET' &&
    headers.origin === undefined &&
    headers['dpop'] === undefined &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  return (isPlain && /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(headers.authorization ?? '')?.[1]) || null
}
