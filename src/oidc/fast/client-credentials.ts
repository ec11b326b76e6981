import type { IncomingMessage, ServerResponse } from 'node:http'
import { issueServiceTokenUnproved } from '../../domain/apps/service-tokens.ts'
import type { Services } from '../../domain/services.ts'
import type { Logger } from '../../logger.ts'
import { scopesIn } from '../grant-parameters.ts'
import { tokenResponse } from '../token-response.ts'
import { answerPlainly, unlessItFails } from './answers.ts'
import { hasOnly, type PlainForm, readPlainClient } from './forms.ts'

/**
 * Fast path of the client credentials grant (RFC 6749 §4.4): a service with its secret, and at most a resource and scopes. It
 * takes one statement, which writes nothing, and one signature. Only success is answered here; everything else is left to the
 * library.
 * @returns false when the request, untouched, is left to the library
 * @throws what makes `isUnavailable` true while the store is unavailable
 */
export async function answerPlainClientCredentials(
  services: Services,
  logger: Logger,
  req: IncomingMessage,
  res: ServerResponse,
  form: PlainForm,
): Promise<boolean> {
  const client = readPlainClient(form, req.headers.authorization)
  if (client === null || !hasOnly(form, 'grant_type', 'resource', 'scope')) return false
  const { resource = null, scope: asked } = form
  const scopes = typeof asked === 'string' ? scopesIn(asked) : null
  if (Array.isArray(resource) || resource === '' || (asked !== undefined && scopes === null)) return false

  const { clientId, proof } = client
  const issued = await unlessItFails(issueServiceTokenUnproved(services, { clientId, resource, scopes }, proof))
  if (issued === null) return false
  const { token: accessToken, expiresIn, scope, audience } = issued
  logger.info({ requestId: req.requestId, event: 'client_credentials', clientId, audience }, 'event')
  answerPlainly(res, tokenResponse({ accessToken, expiresIn, scope, jkt: null }))
  return true
}
