/**
 * A service of the organisation in which users live: their names, addresses, roles and passwords are there. Second factors,
 * identity sessions and families are here, by the id that the source gives, which never changes. Every method throws
 * SourceUnavailable when the source does not answer in time, or answers what it may not.
 */
export interface IdentitySource {
  readonly kind: 'http' | 'ldap'
  /** @param login a user name or an e-mail address. @returns null where there is no such user */
  findByLogin: (login: string) => Promise<SourceUser | null>
  findById: (id: string) => Promise<SourceUser | null>
  verifyPassword: (id: string, password: string) => Promise<PasswordVerdict>
  /** The status of each of these users; one that the source no longer has is `gone`. */
  statusesOf: (ids: readonly string[]) => Promise<Map<string, SourceStatus>>
  /** Null where users are not created here. */
  create: ((user: NewSourceUser) => Promise<SourceCreation>) | null
  /** Null where passwords are not set here. */
  setPassword: ((id: string, password: string) => Promise<SourcePasswordChange>) | null
  /** Checks the signature of a request that the source sends to the portal. Left out where it sends none. */
  verifyRequest?: (request: SourceRequest) => Promise<SourceRequestProof>
  close: () => Promise<void>
}

/** A request of the source, as it arrived. */
export interface SourceRequest {
  method: string
  /** The whole URL, as the source knows it. */
  url: string
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

/** `nonce` may not be used again `until` then. */
export type SourceRequestProof = { kind: 'valid'; nonce: string; until: Date } | { kind: 'refused'; reason: string }

export type SourceStatus = 'active' | 'disabled' | 'gone'

/** `expired`: it matches, and has to be replaced first. */
export type PasswordVerdict = 'matches' | 'wrong' | 'expired'

/** A user as the source knows them. */
export interface SourceUser {
  id: string
  username: string
  email: string
  emailVerified: boolean
  status: Exclude<SourceStatus, 'gone'>
  /** Of the portal. */
  roles: string[]
  /** Standard claims of OpenID Connect (Core §5.1), by name. */
  claims: Record<string, unknown>
}

export interface NewSourceUser {
  username: string
  email: string
  password: string
}

export type SourceCreation =
  { kind: 'created'; user: SourceUser } | { kind: 'taken' } | { kind: 'refused'; reason: string }

export type SourcePasswordChange = { kind: 'changed' } | { kind: 'refused'; reason: string }

/** The source does not answer, or not in a way that can be trusted: nothing is known about its users for the moment. */
export class SourceUnavailable extends Error {}
