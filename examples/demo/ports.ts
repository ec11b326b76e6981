import { createServer } from 'node:net'
import type { Address, Addresses } from './addresses.ts'

// Both loopback addresses: another program on ::1 would get the browser's requests for localhost.
const LOOPBACK = ['127.0.0.1', '::1']

/** Reports a busy port in one sentence, before anything is started. */
export async function requireFreePorts(addresses: Addresses) {
  await Promise.all(
    Object.entries(addresses).flatMap(([name, address]) => LOOPBACK.map((host) => requireFree(name, address, host))),
  )
}

async function requireFree(name: string, { port, variable }: Address, host: string) {
  const code = await tryPort(port, host)
  const advice = `choose another with ${variable}.`
  if (code === 'EADDRINUSE') throw new Error(`Port ${port} for ${name} is busy: stop what listens there, or ${advice}`)
  if (code === 'EACCES') throw new Error(`Port ${port} for ${name} is not allowed here: ${advice}`)
}

/** The error code of listening there for a moment; null when it worked. */
function tryPort(port: number, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (problem: NodeJS.ErrnoException) => resolve(problem.code ?? problem.message))
    server.listen(port, host, () => server.close(() => resolve(null)))
  })
}
