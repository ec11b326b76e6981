import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerProbe, type Arrival, isProbe, PROBE_HEADER, PROBE_PATH } from '../domain/keys/probes.ts'
import type { Services } from '../domain/services.ts'
import { readVersion } from '../domain/version.ts'
import { parseAddress } from './middleware/client-ip.ts'

/** Whether this request is a probe of `gatehouse doctor`, which has the root secret. For all others there is nothing here. */
export function isProbeRequest({ secrets, clock }: Services, req: IncomingMessage, path: string): boolean {
  return path === PROBE_PATH && req.method === 'GET' && isProbe(secrets, req.headers[PROBE_HEADER], clock())
}

/** GET /.well-known/gatehouse-probe: says how the request arrived, also when it is for another host. */
export function answerProbeRequest(
  { secrets, clock, publicUrl }: Services,
  req: IncomingMessage,
  res: ServerResponse,
  { isOwnHost, trustProxy }: Pick<Arrival, 'isOwnHost' | 'trustProxy'>,
): void {
  const forwardedFor = [req.headers['x-forwarded-for'] ?? []].flat().join(',')
  const body = answerProbe(
    secrets,
    req.headers[PROBE_HEADER] as string,
    {
      version: readVersion(),
      publicUrl,
      host: req.headers.host ?? '',
      isOwnHost,
      peer: parseAddress(req.socket.remoteAddress ?? '') ?? '',
      forwardedFor: forwardedFor === '' ? [] : forwardedFor.split(',').map((entry) => entry.trim()),
      forwardedProto: [req.headers['x-forwarded-proto'] ?? null].flat()[0] ?? null,
      client: req.clientInfo.address,
      trustProxy,
    },
    clock(),
  )
  // Whether it arrives as it was sent tells what the proxy does to cookies.
  const cookie = publicUrl.startsWith('https:')
    ? { 'Set-Cookie': '__Host-probe=1; Path=/; Max-Age=1; Secure; HttpOnly' }
    : {}
  res.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...cookie }).end(body)
}
