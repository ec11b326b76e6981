import { ADMIN_API_PATH, adminApiOf } from '../../domain/apps/apis.ts'
import { Client } from '../browser/client.ts'
import { tokensIn } from './answers.ts'
import { robotService } from './apps.ts'
import type { TestServer } from './server.ts'

/** An answer of the admin API. */
export interface ApiAnswer {
  status: number
  headers: Headers
  /** JSON, or the text of another type; null without a body. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into whatever comes
  body: any
}

/** A service that calls the admin API, written by hand so that a test can send what no library would. */
export interface AdminClient {
  client: Client
  token: string
  /** @param body JSON, or text that is sent as it is */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>
}

/** Registers a service with these scopes of the admin API, and gets its token. */
export async function openAdminClient(server: TestServer, clientId: string, scopes: string[]): Promise<AdminClient> {
  const grants = { request: [{ identifier: adminApiOf(server.services), scopes }] }
  const client = new Client(server.url, clientId, await server.addApp(clientId, robotService, grants), '')
  const token = await serviceToken(client)
  return {
    client,
    token,
    send: async (method, path, body, headers) =>
      callApi(server.url, method, path, body, { Authorization: `Bearer ${token}`, ...headers }),
  }
}

export async function serviceToken(client: Client, fields: Record<string, string> = {}): Promise<string> {
  return (await tokensIn(await client.send('/oauth/token', { grant_type: 'client_credentials', ...fields })))
    .access_token
}

/** A request to the admin API with these headers and no others. */
export async function callApi(
  portal: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<ApiAnswer> {
  const type: Record<string, string> = body === undefined ? {} : { 'Content-Type': 'application/json' }
  const response = await fetch(`${portal}${ADMIN_API_PATH}${path}`, {
    method,
    headers: { ...type, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = /^application\/(?:problem\+)?json$/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? null : isJson ? JSON.parse(text) : text,
  }
}
