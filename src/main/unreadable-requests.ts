import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { lingerOn } from '../http/bodies.ts'

/** Sockets whose last answer is decided. Whatever else arrives on them is ignored. */
const closing = new WeakSet<Socket>()

/**
 * Answers bytes that are not HTTP, too long or too slow, and closes the connection. They never become a request.
 * @param answer the response in progress on the connection
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket, answer: ServerResponse | null): void {
  if (closing.has(socket)) return
  closing.add(socket)
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  if (answer?.req.complete === true) return finish(answer, socket)
  if (answer?.headersSent === true) return void socket.destroy()

  const [status, words] = UNREADABLE[error.code ?? ''] ?? [
    '400 Bad Request',
    'That is not a request this portal can read.',
  ]
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${words.length + 1}\r\n\r\n${words}\n`,
  )
  lingerOn(socket)
}

const UNREADABLE: Record<string, [string, string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The headers of that request are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'That request took too long to arrive.'],
}

/** The request before the unreadable bytes was valid (pipelining, RFC 9112 §9.3.2), so it still gets its answer. */
function finish(answer: ServerResponse, socket: Socket): void {
  if (!answer.headersSent) answer.setHeader('Connection', 'close')
  answer.once('close', () => socket.destroySoon())
}
