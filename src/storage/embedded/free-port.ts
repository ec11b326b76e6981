import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

// Below the ephemeral ports, so that no outgoing connection takes it in between.
const LOWEST = 20_000
const HIGHEST = 32_000

/** A loopback port that no process listens on at this moment. */
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
