import type { IncomingMessage } from 'node:http'
import type { AppRow } from '../../domain/apps/apps.ts'
import type { Services } from '../../domain/services.ts'

/** A form to an endpoint of the protocol, which this API consists of; a GET where there is none. */
export interface InnerRequest {
  path: string
  form: Record<string, string> | null
  url: string
  isProofUsed: boolean
}

export interface InnerAnswer {
  status: number
  headers: Record<string, string>
  body: Record<string, unknown> | null
}

/** How a request to the protocol is made in the name of the client of another one. */
export type Ask = (req: IncomingMessage, inner: InnerRequest) => Promise<InnerAnswer>

/** A request to this API, of an app that may use it and is not authenticated yet: the protocol does that. */
export class Call {
  readonly services: Services
  readonly req: IncomingMessage
  readonly app: AppRow | null
  readonly clientId: string
  readonly #ask: Ask
  readonly #credentials: Record<string, string>
  readonly #url: string

  constructor(
    services: Services,
    req: IncomingMessage,
    client: { id: string; app: AppRow | null; credentials: Record<string, string> },
    { ask, url }: { ask: Ask; url: string },
  ) {
    this.services = services
    this.req = req
    this.clientId = client.id
    this.app = client.app
    this.#credentials = client.credentials
    this.#ask = ask
    this.#url = url
  }

  /**
   * Asks an endpoint of the protocol, with the credentials of the app.
   * @param isProofUsed a part before this one has checked the DPoP proof of the request
   */
  async ask(path: string, fields: Record<string, string | undefined>, isProofUsed = false): Promise<InnerAnswer> {
    const given = Object.entries({ ...fields, ...this.#credentials }).filter(([, value]) => value !== undefined)
    const form = Object.fromEntries(given) as Record<string, string>
    return this.#ask(this.req, { path, form, url: this.#url, isProofUsed })
  }
}
