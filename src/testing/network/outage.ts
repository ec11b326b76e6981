import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A proxy in front of a store, to simulate an outage without stopping the store. */
export interface Outage {
  /** The URL of the store through this proxy. */
  url: string
  /** Refuses connections from now on, and breaks the open ones. */
  cut(): Promise<void>
  /** Hangs from now on: nothing passes, and nothing is refused. */
  hang(): void
  /** How many chunks were swallowed since it hangs. */
  swallowed(): number
  restore(): Promise<void>
  close(): Promise<void>
}

export async function standBefore(url: string): Promise<Outage> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isHanging = false
  let swallowed = 0

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer((client) => {
    const store = connect(Number(target.port), target.hostname)
    keep(client)
    keep(store)
    client.on('data', (chunk) => {
      if (isHanging) swallowed++
      else store.write(chunk)
    })
    store.on('data', (chunk) => isHanging || client.write(chunk))
    client.on('close', () => store.destroy())
    store.on('close', () => client.destroy())
  })
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  const own = new URL(url)
  own.hostname = '127.0.0.1'
  own.port = String(port)

  const cut = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    url: own.href,
    cut,
    hang() {
      isHanging = true
      swallowed = 0
    },
    swallowed: () => swallowed,
    async restore() {
      // Swallowed bytes are lost, so the connections of that time are broken.
      if (isHanging) for (const socket of sockets) socket.destroy()
      isHanging = false
      if (!server.listening) await listen(port)
    },
    close: cut,
  }
}
