import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Services } from '../../domain/services.ts'
import type { SignedInRow } from '../../domain/sign-in/identity-sessions.ts'
import type { Logger } from '../../logger.ts'
import type { ClientThrottling } from '../client-throttling.ts'
import { ROUTES } from '../configuration.ts'
import { answerPlainAuthorization } from './authorization.ts'
import { answerPlainClientCredentials } from './client-credentials.ts'
import { answerPlainCodeExchange } from './code-exchange.ts'
import { readPlainForm } from './forms.ts'
import { answerPlainIntrospection } from './introspection.ts'
import { answerPlainRefresh } from './refresh.ts'
import { answerPlainUserinfo } from './userinfo.ts'

/** What the fast paths need. */
export interface FastPaths {
  services: Services
  logger: Logger
  throttling: ClientThrottling
  /** Finds the signed-in user of a request that needs nothing else of the browser's session. */
  findSignedIn(req: IncomingMessage): Promise<SignedInRow | null>
}

/**
 * The fast paths: answers the common requests in front of the library and of Express. Each answers only success.
 * @returns false when the request, untouched, is left to the library
 * @throws what makes `isUnavailable` true while a store is unavailable
 */
export async function answerFast(
  { services, logger, throttling, findSignedIn }: FastPaths,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  const { method, url = '' } = req
  if (url.startsWith(`${ROUTES.authorization}?`))
    return method === 'GET' && answerPlainAuthorization(services, req, res, findSignedIn)

  // After a failure of this IP address, the library checks the throttling before it compares a secret.
  const isWatched = () => throttling.isWatched(req.clientInfo.address)
  switch (url) {
    case ROUTES.token: {
      const form = await readPlainForm(req)
      if (form === null) return false
      if (form['grant_type'] === 'refresh_token') return answerPlainRefresh(services, logger, req, res, form)
      if (isWatched()) return false
      if (form['grant_type'] === 'client_credentials')
        return answerPlainClientCredentials(services, logger, req, res, form)
      return answerPlainCodeExchange(services, logger, req, res, form)
    }
    case ROUTES.introspection:
      return !isWatched() && answerPlainIntrospection(services, req, res)
    case ROUTES.userinfo:
      return answerPlainUserinfo(services, req, res)
    default:
      return false
  }
}
