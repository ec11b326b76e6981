import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import pg from 'pg'

/** SQLSTATE 08P01, protocol_violation. No query is sent to such a server; the right one may be back later. */
export class UnprovenServer extends Error {
  readonly code = '08P01'

  constructor(cause?: unknown) {
    super('the server on the port of the database did not prove that it is the database', { cause })
  }
}

/** Private members of pg's client, which its types leave out. */
interface Internals {
  connection: EventEmitter & { stream: Socket }
  /** Undefined before the exchange, and null once the server's signature has been verified. */
  saslSession: object | null | undefined
}

/**
 * A client that authenticates by SCRAM (RFC 5802) only, like libpq with `require_auth=scram-sha-256`: the password never leaves
 * the process, and a server that does not know its verifier gets no query.
 */
export class ScramClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    const { connection } = this as unknown as Internals
    refuseByThrowing(connection.stream)
    connection.on('sslconnect', () => refuseByThrowing(connection.stream))

    let isProven = false
    const refuse = () => {
      throw new UnprovenServer()
    }
    // Before the listeners of pg, which would answer.
    connection.on('authenticationCleartextPassword', refuse)
    connection.on('authenticationMD5Password', refuse)
    connection.on('authenticationSASLFinal', () => {
      // pg would fail on it, but with an error that does not say what is wrong.
      if ((this as unknown as Internals).saslSession === undefined) refuse()
    })
    connection.on('readyForQuery', () => {
      if (!isProven) refuse()
    })
    connection.on('error', () => {
      if (!isProven) connection.stream.destroy()
    })
    connection.once('connect', () => {
      // Behind the listener of pg, which verifies the signature.
      connection.on('authenticationSASLFinal', () => {
        if ((this as unknown as Internals).saslSession !== null) refuse()
        isProven = true
      })
    })
  }
}

/** The client for this URL; libpq's `require_auth=scram-sha-256` in it asks for one that speaks SCRAM only. */
export function clientClassOf(url: string): typeof pg.Client {
  return URL.parse(url)?.searchParams.get('require_auth') === 'scram-sha-256' ? ScramClient : pg.Client
}

/** A client without prepared statements, for a pooler in transaction mode. */
export function withoutPreparedStatements(Client: typeof pg.Client): typeof pg.Client {
  const { query } = Client.prototype as unknown as { query(...args: unknown[]): unknown }
  class UnnamedClient extends Client {}
  Object.assign(UnnamedClient.prototype, {
    query(this: pg.Client, first: unknown, ...others: unknown[]) {
      const isNamed = typeof first === 'object' && first !== null && 'name' in first && 'text' in first
      return query.call(this, isNamed ? { ...first, name: undefined } : first, ...others)
    },
  })
  return UnnamedClient
}

/** An error thrown while a packet is read closes the connection instead of ending the process; the rest is not read. */
function refuseByThrowing(stream: Socket): void {
  const emit = stream.emit.bind(stream) as (event: string | symbol, ...args: unknown[]) => boolean
  stream.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event !== 'data') return emit(event, ...args)
    try {
      return emit(event, ...args)
    } catch (error) {
      stream.destroy(error instanceof UnprovenServer ? error : new UnprovenServer(error))
      return true
    }
  }
}
