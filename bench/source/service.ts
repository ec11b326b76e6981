import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { signAnswer, sourceKeysOf } from '../../src/identity-source/http/signatures.ts'

// A service in which users live, in a process of its own: `guest-1`, `guest-2` and so on, each with one password for all. It
// takes as long for an answer as the settings say, whatever it is asked.
const { PORT, SECRET = '', PASSWORD, LATENCY_MS } = process.env
const keys = sourceKeysOf(SECRET)

const ANSWERS: Record<string, (input: Record<string, unknown>) => unknown> = {
  capabilities: () => ({
    protocol: 'gatehouse-identity-source',
    version: 1,
    operations: [],
    time: new Date().toISOString(),
  }),
  find: ({ login }) => ({ user: userOf(String(login).replace('@example.test', '')) }),
  user: ({ id }) => ({ user: userOf(String(id)) }),
  statuses: ({ ids }) => ({
    statuses: (ids as string[]).map((id) => ({ id, status: userOf(id) === null ? 'gone' : 'active' })),
  }),
  'verify-password': ({ id, password }) => ({
    id,
    verdict: userOf(String(id)) !== null && password === PASSWORD ? 'matches' : 'wrong',
  }),
}

createServer((req, res) => void answer(req, res)).listen(Number(PORT), '127.0.0.1')

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  if (req.url === '/ready') return void res.end()
  const known = ANSWERS[(req.url ?? '').slice(1)]
  if (known === undefined) return void res.writeHead(404).end()
  const asked = Buffer.concat(chunks)
  await sleep(Number(LATENCY_MS))
  const body = JSON.stringify(known(JSON.parse(asked.toString()) as Record<string, unknown>))
  const request = { method: 'POST', url: `http://${req.headers.host}${req.url}`, headers: req.headers, body: asked }
  res.writeHead(200, await signAnswer({ status: 200, body }, request, keys, new Date())).end(body)
}

/** The id is the user name. */
function userOf(name: string): Record<string, unknown> | null {
  if (!/^guest-\d{1,6}$/.test(name)) return null
  return { id: name, username: name, email: `${name}@example.test`, email_verified: true, status: 'active' }
}
