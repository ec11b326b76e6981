import * as oauth from 'oauth4webapi'
import { CommandRefused } from './command-refused.ts'
import type { RemoteConnection } from './remote-connection.ts'
import { adminApiOf } from '../domain/apps/apis.ts'
import type { RemoteSettings } from './remote-settings.ts'

/** Seconds before its end from which a token is not used any more. */
const SPARE = 20

/** The application tokens of the app in whose name commands run (client_credentials). They are kept for this process alone. */
export class RemoteTokens {
  readonly #settings: RemoteSettings
  readonly #connection: RemoteConnection
  #token: { value: string; endsAt: number } | null = null

  constructor(settings: RemoteSettings, connection: RemoteConnection) {
    this.#settings = settings
    this.#connection = connection
  }

  /** @throws CommandRefused */
  async current(): Promise<string> {
    // A monotonic clock: that of this machine may be wrong.
    if (this.#token === null || this.#token.endsAt <= performance.now()) this.#token = await this.#request()
    return this.#token.value
  }

  forget(): void {
    this.#token = null
  }

  async #request(): Promise<{ value: string; endsAt: number }> {
    const { url, clientId, clientSecret } = this.#settings
    const issuer = new URL(url)
    const client = { client_id: clientId }
    const options = {
      [oauth.allowInsecureRequests]: issuer.protocol === 'http:',
      // A token that was issued and did not arrive does no harm.
      [oauth.customFetch]: async (to: string, init: oauth.CustomFetchOptions<string, unknown>) =>
        this.#connection.fetch(to, init as RequestInit, true),
    }
    try {
      const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options))
      const response = await oauth.clientCredentialsGrantRequest(
        server,
        client,
        oauth.ClientSecretBasic(clientSecret),
        { resource: adminApiOf({ publicUrl: url }) },
        options,
      )
      const { access_token: value, expires_in: seconds = SPARE } = await oauth.processClientCredentialsResponse(
        server,
        client,
        response,
      )
      return { value, endsAt: performance.now() + (seconds - SPARE) * 1000 }
    } catch (error) {
      throw this.#inWords(error)
    }
  }

  /** In one sentence, without anything that was sent or received but the code of the error. */
  #inWords(error: unknown): unknown {
    const { url, clientId } = this.#settings
    const isUnknown = error instanceof oauth.WWWAuthenticateChallengeError
    if (isUnknown || error instanceof oauth.ResponseBodyError) {
      const code = isUnknown ? 'invalid_client' : error.error
      const sentence =
        code === 'invalid_client'
          ? `${url} does not know an app with this GATEHOUSE_CLIENT_ID and GATEHOUSE_CLIENT_SECRET`
          : ['invalid_target', 'invalid_scope', 'unauthorized_client'].includes(code)
            ? `${clientId} may not use the admin API: where the portal runs, "gatehouse app create <client-id> --name N --service --api-scope admin:read" registers an app that may`
            : `${url} gives ${clientId} no token (${code})`
      return new CommandRefused(sentence)
    }
    if (error instanceof oauth.OperationProcessingError)
      return new CommandRefused(
        error.code === oauth.JSON_ATTRIBUTE_COMPARISON
          ? `GATEHOUSE_URL must be the PUBLIC_URL of the portal; what answers at ${url} has another one`
          : `what answers at ${url} is no Gatehouse that this version can use`,
      )
    return error
  }
}
