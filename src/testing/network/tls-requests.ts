import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type Agent, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { selfSigned } from './certificate.ts'

export interface TlsAnswer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

export interface TlsRequest {
  /** Posted. */
  form?: Record<string, string>
  headers?: Record<string, string>
  agent?: Agent
}

/** Asks a server on this machine for a host name of the Internet, as a client that trusts the certificate of the tests. */
export async function askOverTls(
  host: string,
  port: number,
  path: string,
  { form, headers = {}, agent }: TlsRequest = {},
): Promise<TlsAnswer> {
  const sent = request({
    host: '127.0.0.1',
    port,
    path,
    method: form === undefined ? 'GET' : 'POST',
    headers: {
      Host: host,
      ...(form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
    ca: selfSigned.cert,
    servername: 'notes.example.test',
    agent: agent ?? false,
  })
  sent.end(form === undefined ? undefined : new URLSearchParams(form).toString())
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }
}
