import type { ServerResponse } from 'node:http'

/** GET /healthz: the process is up. */
export function answerHealth(res: ServerResponse): void {
  answer(res, 200, { status: 'up' })
}

/** GET /readyz: the stores answer. */
export async function answerReadiness(res: ServerResponse, ping: () => Promise<void>): Promise<void> {
  await ping().then(
    () => answer(res, 200, { status: 'ready' }),
    () => answer(res, 503, { status: 'not ready' }, { 'Retry-After': '5' }),
  )
}

function answer(res: ServerResponse, status: number, body: object, headers = {}): void {
  res
    .writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers })
    .end(JSON.stringify(body))
}
