import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Services } from '../../src/domain/services.ts'
import type { Signer } from './tokens.ts'

export interface Floor {
  services: Services
  signer: Signer
}

export function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  return new Promise((resolve, reject) => {
    let body = ''
    req.setEncoding('latin1')
    req.on('data', (text: string) => (body += text))
    req.on('end', () => resolve(new URLSearchParams(body)))
    req.on('error', reject)
  })
}

/** The calling app; its secret is not checked. */
export function clientIdOf(req: IncomingMessage): string {
  const pair = Buffer.from((req.headers.authorization ?? '').slice('Basic '.length), 'base64').toString('latin1')
  return pair.slice(0, pair.indexOf(':'))
}

export function answerJson(res: ServerResponse, status: number, json: string): undefined {
  answer(res, status, json, 'application/json')
}

export function answer(res: ServerResponse, status: number, body: string, type: string): void {
  res
    .writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store' })
    .end(body)
}

export function redirect(res: ServerResponse, location: string, headers: Record<string, string> = {}): void {
  res.writeHead(303, { Location: location, 'Content-Length': 0, 'Cache-Control': 'no-store', ...headers }).end()
}
