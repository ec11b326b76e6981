import { SourceUnavailable } from '../../domain/identity-source.ts'
import { Connection, DirectoryLate, type Limits } from './connection.ts'
import type { LdapSettings } from './ldap-settings.ts'

/** How many are kept open, and for how long after they were last used: a firewall forgets them without a word. */
const KEPT = 8
const KEPT_MS = 60_000

/** Connections on which the portal itself is signed in, kept for the next question. */
export class Connections {
  readonly #settings: LdapSettings
  readonly #limits: Limits
  readonly #idle: { connection: Connection; since: number }[] = []
  readonly #inUse = new Set<Connection>()
  #isClosed = false

  constructor(settings: LdapSettings, limits: Limits) {
    this.#settings = settings
    this.#limits = limits
  }

  /**
   * Acts on a connection that no one else uses meanwhile. Where a kept one turns out to have ended, it acts again on a new one,
   * so it must be something that may be done twice.
   */
  async use<Answer>(act: (connection: Connection) => Promise<Answer>): Promise<Answer> {
    const kept = this.#takeKept()
    if (kept !== null) {
      try {
        return await this.#act(kept, act)
      } catch (error) {
        // A directory that hangs would hang again.
        if (!(error instanceof SourceUnavailable) || error instanceof DirectoryLate) throw error
      }
    }
    return this.useNew(act)
  }

  /** The same on a new connection, and therefore once. */
  async useNew<Answer>(act: (connection: Connection) => Promise<Answer>): Promise<Answer> {
    return this.#act(await this.#open(), act)
  }

  /** A connection for the bind of a user, after which it belongs to that user. */
  async useAnonymous<Answer>(act: (connection: Connection) => Promise<Answer>): Promise<Answer> {
    const connection = await Connection.open(this.#settings, this.#limits)
    this.#inUse.add(connection)
    try {
      return await act(connection)
    } finally {
      this.#inUse.delete(connection)
      connection.close()
    }
  }

  close(): void {
    this.#isClosed = true
    for (const { connection } of this.#idle.splice(0)) connection.close()
    for (const connection of this.#inUse) connection.close()
  }

  #takeKept(): Connection | null {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.connection.isOpen && performance.now() - kept.since < KEPT_MS) return kept.connection
      kept.connection.close()
    }
    return null
  }

  async #open(): Promise<Connection> {
    const connection = await Connection.open(this.#settings, this.#limits)
    try {
      await connection.bind(this.#settings.bindDn, this.#settings.password)
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  async #act<Answer>(connection: Connection, act: (connection: Connection) => Promise<Answer>): Promise<Answer> {
    this.#inUse.add(connection)
    try {
      return await act(connection)
    } finally {
      this.#inUse.delete(connection)
      if (connection.isOpen && !this.#isClosed && this.#idle.length < KEPT)
        this.#idle.push({ connection, since: performance.now() })
      else connection.close()
    }
  }
}
