import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { home } from './connections.ts'
import { type Sent, send } from '../network/wire.ts'

/** A fast path. False when the request is left to the library. */
export type Answering = (req: IncomingMessage, res: ServerResponse) => Promise<boolean>

/** Whether the fast path answers a request; the library must still be able to read one that it does not. */
export async function isAnswered(answer: Answering, sent: Sent): Promise<boolean> {
  let left: string | null = null
  const handle = async (req: IncomingMessage, res: ServerResponse) => {
    req.clientInfo = home
    if (await answer(req, res)) return
    left = await text(req)
    res.writeHead(404).end()
  }
  const front = createServer((req, res) => void handle(req, res))
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  const { status } = await send((front.address() as AddressInfo).port, sent)
  front.close()
  if (status === 404 && left !== (sent.body ?? '')) throw new Error('the library would not get the whole body')
  return status === 200
}

/** The headers of a response, without those that are new each time. */
export function headersOf({ headers }: Response): [string, string][] {
  return [...headers].filter(([name]) => !CHANGING.includes(name))
}

const CHANGING = ['date', 'x-request-id', 'content-length', 'connection', 'keep-alive']
