import { once } from 'node:events'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { type Change, Client, type Control, type Entry, ResultCodeError, type SearchOptions } from 'ldapts'
import { SourceUnavailable } from '../../domain/identity-source.ts'
import { bound, type BoundedSocket } from './bounded-socket.ts'
import type { LdapSettings } from './ldap-settings.ts'

/** How long connecting, TLS included, and each answer may take (ms). */
export interface Limits {
  connection: number
  answer: number
}

/** The directory took too long. */
export class DirectoryLate extends SourceUnavailable {}

/**
 * One connection to the directory. It never connects again by itself: a new connection is anonymous, and what anonymous may see
 * is less.
 *
 * Results that the directory answers are thrown as ldapts' ResultCodeError, everything else as SourceUnavailable.
 */
export class Connection {
  readonly #limits: Limits
  readonly #client: Client
  #socket: Socket
  #bounds: BoundedSocket

  private constructor(socket: Socket, limits: Limits) {
    this.#limits = limits
    this.#socket = socket
    this.#bounds = bound(socket)
    // ldapts takes a socket that is connected, with TLS or without, and asks for another when that is over.
    const takeOnce = () => {
      if (this.isOpen) return socket
      throw new SourceUnavailable('the connection to the directory is over')
    }
    this.#client = new Client({
      url: 'ldap://directory',
      createConnection: takeOnce,
      createSecureConnection: ((options: ConnectionOptions) => {
        this.#socket = connectTls(options)
        this.#bounds = bound(this.#socket)
        return this.#socket
      }) as typeof connectTls,
    })
  }

  /** Connects, with TLS where the settings say so. No one is signed in on it yet. */
  static async open(settings: LdapSettings, limits: Limits): Promise<Connection> {
    const { protocol, hostname, port } = new URL(settings.url)
    const host = hostname.replace(/^\[|\]$/g, '')
    const isSecure = protocol === 'ldaps:'
    const address = { host, port: Number(port) || (isSecure ? 636 : 389) }
    const tls: ConnectionOptions = {
      host,
      // An IP address is no name that TLS could ask for (RFC 6066 §3).
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(settings.ca === null ? {} : { ca: settings.ca }),
    }
    const socket = isSecure ? connectTls({ ...tls, ...address }) : connectTcp(address)
    // It breaks at times when no one waits for it; those who do are told by its end.
    socket.on('error', () => undefined)
    await within(limits.connection, socket, () => once(socket, isSecure ? 'secureConnect' : 'connect'))
    const connection = new Connection(socket, limits)
    if (settings.startsTls) await within(limits.connection, socket, () => connection.#client.startTLS(tls))
    return connection
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** @throws Error for an empty password: a directory takes that for a wish to be anonymous, and agrees (RFC 4513 §5.1.2). */
  async bind(dn: string, password: string, controls: Control[] = []): Promise<void> {
    if (dn === '' || password === '') throw new Error('a bind without a DN or a password is anonymous')
    await this.#ask(() => this.#client.bind(dn, password, controls))
  }

  /** The entries that the directory shows. Referrals are not followed. */
  async search(base: string, options: SearchOptions): Promise<Entry[]> {
    const { searchEntries } = await this.#ask(() => this.#client.search(base, { derefAliases: 'never', ...options }))
    return searchEntries
  }

  async compare(dn: string, attribute: string, value: string): Promise<boolean> {
    return this.#ask(() => this.#client.compare(dn, attribute, value))
  }

  async modify(dn: string, change: Change): Promise<void> {
    await this.#ask(() => this.#client.modify(dn, change))
  }

  async extended(oid: string, value: Buffer): Promise<void> {
    await this.#ask(() => this.#client.exop(oid, value))
  }

  close(): void {
    this.#socket.destroy()
  }

  #ask<Answer>(question: () => Promise<Answer>): Promise<Answer> {
    this.#bounds.allowAgain()
    return within(this.#limits.answer, this.#socket, question)
  }
}

/** ldapts has time limits of its own, but none for STARTTLS, and after that it does not see its connection end. */
async function within<Answer>(limit: number, socket: Socket, act: () => Promise<Answer>): Promise<Answer> {
  const failure = Promise.withResolvers<never>()
  const onClose = () =>
    failure.reject(new SourceUnavailable('the connection to the directory ended', { cause: socket.errored }))
  const timer = setTimeout(() => failure.reject(new DirectoryLate(`no answer within ${limit} ms`)), limit)
  socket.once('close', onClose)
  try {
    return await Promise.race([act(), failure.promise])
  } catch (error) {
    if (error instanceof ResultCodeError) throw error
    socket.destroy()
    if (error instanceof SourceUnavailable) throw error
    throw new SourceUnavailable('the connection to the directory failed', { cause: error })
  } finally {
    clearTimeout(timer)
    socket.off('close', onClose)
  }
}
