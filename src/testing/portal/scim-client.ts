import { type AdminClient, type ApiAnswer, openAdminClient } from './admin-client.ts'
import type { TestServer } from './server.ts'

/** A directory that provisions users and groups, written by hand so that a test can send what real ones do, and worse. */
export interface ScimClient {
  admin: AdminClient
  /** @param body JSON, or text that is sent as it is */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>
}

export async function openScimClient(
  server: TestServer,
  clientId: string,
  scopes = ['admin:identities:write', 'admin:groups:write'],
): Promise<ScimClient> {
  const admin = await openAdminClient(server, clientId, scopes)
  return {
    admin,
    send: async (method, path, body, headers) =>
      callScim(server.url, method, path, body, { Authorization: `Bearer ${admin.token}`, ...headers }),
  }
}

/** A SCIM request with these headers and no others. */
export async function callScim(
  portal: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<ApiAnswer> {
  const type: Record<string, string> = body === undefined ? {} : { 'Content-Type': 'application/scim+json' }
  const response = await fetch(`${portal}/scim/v2${path}`, {
    method,
    headers: { ...type, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? null : (JSON.parse(text) as unknown),
  }
}
