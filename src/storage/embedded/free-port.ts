import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

// Below the ports that systems hand out for outgoing connections, so that none of those takes it in between.
const LOWEST = 20_000
const HIGHEST = 32_000

/** A loopback port that nobody listens on at this moment. */
export async function findFreePort(attempts = 50): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = randomInt(LOWEST, HIGHEST)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST} in ${attempts} attempts`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
