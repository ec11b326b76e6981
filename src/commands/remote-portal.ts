import { randomUUID } from 'node:crypto'
import { type AnswerOf, type AnyOperation, readInput, scopesFor } from '../administration/operation.ts'
import { CommandRefused } from './command-refused.ts'
import { RemoteConnection, secondsUntilRetry } from './remote-connection.ts'
import { type RemoteRequest, requestFor } from './remote-requests.ts'
import { ADMIN_API_PATH } from '../domain/apps/apis.ts'
import { Refused } from '../domain/refused.ts'
import type { RemoteSettings } from './remote-settings.ts'
import { RemoteTokens } from './remote-tokens.ts'

/** Performs operations through the admin API. */
export class RemotePortal {
  readonly local = null
  readonly #settings: RemoteSettings
  readonly #connection: RemoteConnection
  readonly #tokens: RemoteTokens

  get publicUrl(): string {
    return this.#settings.url
  }

  constructor(settings: RemoteSettings) {
    this.#settings = settings
    this.#connection = new RemoteConnection(settings.url)
    this.#tokens = new RemoteTokens(settings, this.#connection)
  }

  /** @throws CommandRefused with the sentence that a rule refuses with; InvalidInput */
  async perform<O extends AnyOperation>(asked: O, input: Record<string, unknown>): Promise<AnswerOf<O>> {
    // Says what is wrong in the same words as beside the portal, without a request.
    readInput(asked, input)
    const request = requestFor(asked, input)
    const key = randomUUID()
    for (let attempt = 1; ; attempt++) {
      const response = await this.#send(request, key)
      if (response.ok) return (await this.#answerIn(response, asked)) as AnswerOf<O>
      // A token may have ended before its time, with a key that was revoked.
      if (response.status === 401 && attempt === 1) {
        this.#tokens.forget()
        continue
      }
      const seconds = secondsUntilRetry(response)
      if (seconds !== null && attempt <= MOST_ATTEMPTS) await this.#connection.wait(seconds * 1000)
      else throw await this.#refusalIn(response, asked)
    }
  }

  async #send({ method, path, body }: RemoteRequest, key: string): Promise<Response> {
    const headers = {
      authorization: `Bearer ${await this.#tokens.current()}`,
      accept: 'application/json, application/problem+json',
      ...(body === null ? {} : { 'content-type': 'application/json' }),
      // The portal carries out a request with this key once, however often it arrives.
      ...(method === 'post' ? { 'idempotency-key': key } : {}),
    }
    const isRepeatable = method === 'get' || method === 'post' || method === 'put'
    return this.#connection.fetch(
      `${this.#settings.url}${ADMIN_API_PATH}${path}`,
      { method: method.toUpperCase(), headers, body: body === null ? null : JSON.stringify(body) },
      isRepeatable,
    )
  }

  async #answerIn(response: Response, { stream }: AnyOperation): Promise<unknown> {
    if (response.status === 204) return null
    const { url } = this.#settings
    const type = response.headers.get('content-type')?.split(';', 1)[0] ?? ''
    if (stream !== undefined && Object.values(stream).includes(type)) return this.#connection.readText(response)
    if (stream !== undefined || !isJson(response))
      throw new CommandRefused(
        `what answers at ${url} is no admin API of this version: its answer is ${type || 'of no type'}`,
      )
    return this.#connection.read(async () => response.json())
  }

  async #refusalIn(response: Response, asked: AnyOperation): Promise<CommandRefused | Refused> {
    const { url, clientId } = this.#settings
    const problem = isJson(response) ? await this.#connection.read(async () => response.json()) : null
    const { detail, title } = (problem ?? {}) as Record<string, unknown>
    if (response.status === 401) return new CommandRefused(`${url} does not accept the token of ${clientId}`)
    if (response.status === 403)
      return new CommandRefused(`${clientId} may not do this: it needs the scope ${scopesFor(asked).join(' or ')}`)
    const words = [detail, title].find((each) => typeof each === 'string' && each !== '')
    if (typeof words !== 'string')
      return new CommandRefused(`${url} answered with status ${response.status} and no reason`)
    return response.status === 404 ? new Refused(words, 'not_found') : new CommandRefused(words)
  }
}

const MOST_ATTEMPTS = 3

function isJson({ headers }: Response): boolean {
  return /^application\/(?:[\w.-]+\+)?json\b/.test(headers.get('content-type') ?? '')
}
