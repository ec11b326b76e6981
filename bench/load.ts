import { type Answer, Connection } from './connection.ts'
import { percentile } from './figures.ts'

/** A client that sends one request after another over one connection. */
export interface VirtualClient {
  /** The bytes of the next request; null at the end. */
  next(): string | null
  /** False for an unexpected answer. */
  accept(answer: Answer): boolean
}

export interface Slice {
  requests: number
  seconds: number
  rps: number
  p50_ms: number
  p99_ms: number
  errors: number
  /** The first unexpected answer; null when there was none. */
  firstError: string | null
}

const MOST_REQUESTS = 2_000_000
const latencies = new Float64Array(MOST_REQUESTS)

/** Every client sends as fast as it is answered, until the time is over or all clients are done. */
export async function runSlice(port: number, clients: VirtualClient[], seconds: number): Promise<Slice> {
  const connections = await Promise.all(clients.map(() => Connection.open(port)))
  let requests = 0
  let errors = 0
  let firstError: string | null = null
  const note = (words: string) => {
    errors++
    firstError ??= words
  }

  const start = performance.now()
  const deadline = start + seconds * 1000
  let end = start

  await Promise.all(
    clients.map((client, index) => {
      const connection = connections[index] as Connection
      return new Promise<void>((resolve) => {
        let sentAt = 0
        const onAnswer = (answer: Answer) => {
          end = performance.now()
          latencies[requests++] = end - sentAt
          if (!client.accept(answer)) note(describeRefusal(answer))
          ask()
        }
        const onLost = () => {
          note('the connection was closed before an answer came')
          resolve()
        }
        const ask = () => {
          sentAt = performance.now()
          const request = sentAt < deadline && requests < MOST_REQUESTS ? client.next() : null
          if (request === null) resolve()
          else connection.ask(request, onAnswer, onLost)
        }
        ask()
      })
    }),
  )
  for (const connection of connections) connection.close()

  const elapsed = (end - start) / 1000
  const ascending = latencies.subarray(0, requests).toSorted()
  return {
    requests,
    seconds: elapsed,
    rps: requests / elapsed,
    p50_ms: percentile(ascending, 0.5),
    p99_ms: percentile(ascending, 0.99),
    errors,
    firstError,
  }
}

/** Only refusals are quoted: a success may hold a token. */
export function describeRefusal({ status, body }: Answer): string {
  return status >= 400 ? `${status}: ${body.toString('utf8', 0, 300)}` : `${status} where another status was expected`
}
