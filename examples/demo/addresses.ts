/** Where a part of the demo listens, and its URL in the browser. */
export interface Address {
  port: number
  url: string
  /** The variable that sets the port. */
  variable: string
}

export type Addresses = Record<'portal' | 'notes' | 'photos', Address>

// The apps use another host name than the portal: browsers share cookies between the ports of one host.
export function readAddresses(env: NodeJS.ProcessEnv): Addresses {
  const portal = readPort(env, 'PORT', 3000)
  const notes = readPort(env, 'NOTES_PORT', 4001)
  const photos = readPort(env, 'PHOTOS_PORT', 4002)
  return {
    portal: { port: portal, url: env.PUBLIC_URL || `http://localhost:${portal}`, variable: 'PORT' },
    notes: { port: notes, url: `http://127.0.0.1:${notes}/`, variable: 'NOTES_PORT' },
    photos: { port: photos, url: `http://127.0.0.1:${photos}/`, variable: 'PHOTOS_PORT' },
  }
}

function readPort(env: NodeJS.ProcessEnv, variable: string, usual: number): number {
  const port = Number(env[variable] || usual)
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw new Error(`${variable} must be a port number between 1 and 65535.`)
}
