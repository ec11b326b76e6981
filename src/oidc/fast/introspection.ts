import type { IncomingMessage, ServerResponse } from 'node:http'
import { isApiClientId } from '../../domain/apps/apis.ts'
import { introspectFor } from '../../domain/families/application-tokens.ts'
import type { Services } from '../../domain/services.ts'
import { answerOf, mayWantJwt } from '../introspection.ts'
import { answerPlainly, unlessItFails } from './answers.ts'
import { hasOnly, readPlainClient, readPlainForm } from './forms.ts'

/**
 * Fast path of the introspection that nearly every API sends (RFC 7662 §2.1): an application token, and the secret of the API,
 * or the secret or id of an app. One statement answers it. Only active tokens are answered here, and in plain JSON; everything
 * else is left to the library.
 * @returns false when the request, untouched, is left to the library
 * @throws what makes `isUnavailable` true while the store is unavailable
 */
export async function answerPlainIntrospection(
  services: Services,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  if (mayWantJwt(req.headers.accept)) return false
  const form = await readPlainForm(req)
  const client = form === null ? null : readPlainClient(form, req.headers.authorization)
  if (form === null || client === null || !hasOnly(form, 'token', 'token_type_hint')) return false
  const { token, token_type_hint: hint = 'access_token' } = form
  if (typeof token !== 'string' || hint !== 'access_token') return false

  const introspector = { ...client, isApi: isApiClientId(client.clientId) }
  const claims = await unlessItFails(introspectFor(services, token, introspector))
  if (claims === null) return false
  answerPlainly(res, answerOf(claims))
  return true
}
