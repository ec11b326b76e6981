import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const RETRY_MS = 100

/** A family that this process holds the refresh token of. */
export interface HeldFamily {
  clientId: string
  secret: string
  refreshToken: string
}

export interface Sample {
  /** When the answer had come, on performance.now()'s clock. */
  at: number
  /** Until the token was there, however often the portal had to be asked. */
  milliseconds: number
  /** How often it answered that it is too busy. */
  refusals: number
}

export interface Load {
  port: number
  host: string
  families: HeldFamily[]
  connections: number
  /** Asked before every request. */
  goesOn: () => boolean
}

/**
 * Refreshes families chosen at random over connections that stay open, each with the token its last refresh gave. Every
 * connection has families of its own, so no two rotate one at once.
 * A portal that is too busy is asked again, as an app would. @throws Error at any other answer that is not a token
 */
export async function refreshAtRandom({ port, host, families, connections, goesOn }: Load): Promise<Sample[]> {
  const samples: Sample[] = []
  const work = Array.from({ length: connections }, async (_, connection) => {
    const own = families.filter((_, index) => index % connections === connection)
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    try {
      while (goesOn()) {
        const family = own[Math.floor(Math.random() * own.length)] as HeldFamily
        const start = performance.now()
        let refusals = 0
        let body = await exchange(socket, requestOf(family, host))
        for (; body === null; refusals++) {
          await sleep(RETRY_MS)
          body = await exchange(socket, requestOf(family, host))
        }
        const at = performance.now()
        samples.push({ at, milliseconds: at - start, refusals })
        family.refreshToken = (JSON.parse(body) as { refresh_token: string }).refresh_token
      }
    } finally {
      socket.destroy()
    }
  })
  await Promise.all(work)
  return samples
}

function requestOf({ clientId, secret, refreshToken }: HeldFamily, host: string): string {
  const body = `grant_type=refresh_token&refresh_token=${refreshToken}`
  const credentials = Buffer.from(`${clientId}:${secret}`).toString('base64')
  return `POST /oauth/token HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Basic ${credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

/** One request, and the body of its answer, which says how long it is; null when the portal is too busy. */
async function exchange(socket: Socket, request: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const settle = (act: () => void) => {
      socket.off('data', read).off('error', fail).off('close', fail)
      act()
    }
    const fail = () => settle(() => reject(new Error(`the portal hung up: ${answer}`)))
    const read = (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      const head = answer.indexOf('\r\n\r\n')
      if (head === -1) return
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer.slice(0, head))?.[1])
      if (answer.length < head + 4 + length) return
      settle(() => {
        if (answer.startsWith('HTTP/1.1 200 ')) resolve(answer.slice(head + 4))
        else if (answer.startsWith('HTTP/1.1 503 ')) resolve(null)
        else reject(new Error(answer))
      })
    }
    socket.on('data', read).on('error', fail).on('close', fail)
    socket.write(request)
  })
}

/** The value that this share (0 to 1) of the samples does not exceed, in milliseconds. */
export function percentile(samples: Sample[], share: number): number {
  const sorted = samples.map(({ milliseconds }) => milliseconds).toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
