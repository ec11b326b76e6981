import { randomUUID } from 'node:crypto'
import {
  AdminLimitExceededError,
  type Entry,
  type Filter,
  InvalidCredentialsError,
  ResultCodeError,
  SizeLimitExceededError,
} from 'ldapts'
import {
  type IdentitySource,
  type PasswordVerdict,
  type SourcePasswordChange,
  type SourceStatus,
  SourceUnavailable,
  type SourceUser,
} from '../../domain/identity-source.ts'
import type { Logger } from '../../logger.ts'
import { STATUS_ATTRIBUTES, statusOf } from './account-status.ts'
import { type Connection, type Limits } from './connection.ts'
import { Connections } from './connections.ts'
import { type DirectoryKind, kindOf, ROOT_ATTRIBUTES } from './directory-kind.ts'
import { attributesOf, idOf, type Mapping, USUAL_ATTRIBUTES, userOf } from './entry-users.ts'
import { rolesOf } from './group-roles.ts'
import { baseOf, type LdapSettings } from './ldap-settings.ts'
import { changePassword } from './password-changes.ts'
import { verdictOf } from './password-verdicts.ts'
import { protect } from './protection.ts'
import { checkFilter, filterOfIds, filterOfLogin, hasLogin, loginAttributes } from './user-filters.ts'

const LIMITS: Limits = { connection: 3000, answer: 5000 }
/** Each is a connection. Status checks have places of their own, so that neither keeps the other waiting. */
const SIGN_INS_AT_ONCE = 32
const STATUS_CHECKS_AT_ONCE = 2
/** Users whose status is asked for at once: less than any directory answers (slapd: 500, Active Directory: 1,000). */
const BATCH = 100

/** An LDAP directory (RFC 4511) as the source of users: OpenLDAP, 389 Directory Server, FreeIPA or Active Directory. */
export function openLdapSource(
  settings: LdapSettings,
  { logger, clock }: { logger: Logger; clock: () => Date },
  limits = LIMITS,
): IdentitySource {
  if (settings.userFilter !== null) checkFilter(settings.userFilter)
  const base = baseOf(settings)
  const connections = new Connections(settings, limits)
  const signIns = inDomainWords(protect(clock, SIGN_INS_AT_ONCE))
  const statusChecks = inDomainWords(protect(clock, STATUS_CHECKS_AT_ONCE))
  const searchTime = Math.ceil(limits.answer / 1000)
  const missingGroups = new Set<string>()
  let known: Directory | null = null

  async function directoryOn(connection: Connection): Promise<Directory> {
    known ??= directoryFrom(
      settings,
      await connection.search('', { scope: 'base', attributes: ROOT_ATTRIBUTES, timeLimit: searchTime }),
    )
    return known
  }

  /** The one entry that the filter finds: an answer for two people would be one for the wrong person. */
  async function findEntry(connection: Connection, filter: Filter, attributes: string[]): Promise<Entry | null> {
    const found = await connection.search(base, { filter, attributes, sizeLimit: 2, timeLimit: searchTime })
    if (found.length > 1)
      logger.warn({ entries: found.map(({ dn }) => dn) }, 'several entries of the directory are found, so none is used')
    return found.length === 1 ? (found[0] as Entry) : null
  }

  async function findUser(
    filterFor: (directory: Directory) => Filter | null,
    login: string | null,
  ): Promise<SourceUser | null> {
    return signIns(async () =>
      connections.use(async (connection) => {
        const directory = await directoryOn(connection)
        const filter = filterFor(directory)
        const attributes = [...attributesOf(directory.mapping), ...loginAttributes(directory.userFilter)]
        const entry = filter && (await findEntry(connection, filter, attributes))
        if (entry === null || (login !== null && !hasLogin(entry, directory.userFilter, login))) return null
        const user = userOf(entry, directory.mapping, clock())
        if (user === null) {
          logger.warn({ entry: entry.dn }, 'an entry of the directory has no id, user name or e-mail address')
          return null
        }
        const member = { dn: entry.dn, username: user.username }
        const roles = await rolesOf(connection, member, settings.roleGroups, directory.kind, sayGroupIsMissing)
        return { ...user, roles }
      }),
    )
  }

  async function findDn(id: string): Promise<string | null> {
    return connections.use(async (connection) => {
      const { userFilter, mapping } = await directoryOn(connection)
      const filter = filterOfIds(userFilter, mapping.idAttribute, [id])
      const entry = filter && (await findEntry(connection, filter, ['1.1']))
      return entry?.dn ?? null
    })
  }

  function sayGroupIsMissing(group: string): void {
    if (missingGroups.has(group)) return
    missingGroups.add(group)
    logger.warn({ group }, 'the directory shows no such group of LDAP_ROLE_GROUPS')
  }

  return {
    kind: 'ldap',
    async findByLogin(login) {
      if (login === '' || !login.isWellFormed()) return null
      return findUser(({ userFilter }) => filterOfLogin(userFilter, login), login)
    },
    findById: async (id) =>
      findUser(({ userFilter, mapping }) => filterOfIds(userFilter, mapping.idAttribute, [id]), null),
    verifyPassword: async (id, password): Promise<PasswordVerdict> =>
      signIns(async () => {
        if (password === '') return 'wrong'
        // An id that no one has costs a bind, too, so that timing does not tell.
        const dn = (await findDn(id)) ?? `cn=${randomUUID()},${base}`
        return connections.useAnonymous(async (connection) => verdictOf(connection, dn, password))
      }),
    async statusesOf(ids) {
      const statuses = new Map<string, SourceStatus>()
      const asked = [...new Set(ids)]
      for (let at = 0; at < asked.length; at += BATCH) {
        const batch = asked.slice(at, at + BATCH)
        const found = await statusChecks(async () =>
          connections.use(async (connection) => {
            const directory = await directoryOn(connection)
            return findStatuses(connection, base, directory, batch, clock(), searchTime)
          }),
        )
        for (const id of batch) statuses.set(id, found.get(id.toLowerCase()) ?? 'gone')
      }
      return statuses
    },
    create: null,
    setPassword: settings.setsPasswords
      ? async (id, password): Promise<SourcePasswordChange> =>
          signIns(async () => {
            const dn = await findDn(id)
            if (dn === null) return { kind: 'refused', reason: 'the directory has no such user' }
            return connections.useNew(async (connection) => {
              const { kind } = await directoryOn(connection)
              return changePassword(connection, dn, password, kind)
            })
          })
      : null,
    async close() {
      connections.close()
    },
  }
}

interface Directory {
  kind: DirectoryKind
  userFilter: string
  mapping: Mapping
}

function directoryFrom(settings: LdapSettings, [root = { dn: '' }]: Entry[]): Directory {
  const kind = kindOf(root)
  return {
    kind,
    userFilter: settings.userFilter ?? kind.userFilter,
    mapping: {
      idAttribute: settings.idAttribute ?? kind.idAttribute,
      attributes: { ...USUAL_ATTRIBUTES, username: kind.username, ...settings.attributes },
    },
  }
}

/** By the id in small letters, which are the same to a directory. Who is not in it is not in the directory either. */
async function findStatuses(
  connection: Connection,
  base: string,
  { userFilter, mapping: { idAttribute } }: Directory,
  ids: string[],
  now: Date,
  timeLimit: number,
): Promise<Map<string, SourceStatus>> {
  const statuses = new Map(
    (await searchAll(ids)).flatMap((entry) => {
      const id = idOf(entry, idAttribute)
      return id === null ? [] : [[id.toLowerCase(), statusOf(entry, now)] as const]
    }),
  )
  // A directory that no longer shows the portal anything is broken; its users are not gone.
  if (
    statuses.size < ids.length &&
    (await connection.search(base, { scope: 'base', attributes: ['1.1'] })).length === 0
  )
    throw new SourceUnavailable('the directory does not show the entry below which users are')
  return statuses

  /** Without a size limit of its own, because ldapts takes what a limit has cut off for the whole. */
  async function searchAll(some: string[]): Promise<Entry[]> {
    const filter = filterOfIds(userFilter, idAttribute, some)
    if (filter === null) return []
    try {
      return await connection.search(base, {
        filter,
        attributes: [idAttribute, ...STATUS_ATTRIBUTES],
        timeLimit,
      })
    } catch (error) {
      const isTooMuch = error instanceof SizeLimitExceededError || error instanceof AdminLimitExceededError
      if (!isTooMuch || some.length === 1) throw error
      const middle = Math.ceil(some.length / 2)
      return [...(await searchAll(some.slice(0, middle))), ...(await searchAll(some.slice(middle)))]
    }
  }
}

/** What the directory refuses the portal itself means that nothing is known of its users. */
function inDomainWords(ask: ReturnType<typeof protect>): ReturnType<typeof protect> {
  return async (act) => {
    try {
      return await ask(act)
    } catch (error) {
      if (!(error instanceof ResultCodeError)) throw error
      const words =
        error instanceof InvalidCredentialsError
          ? 'the directory refuses the account of the portal (LDAP_BIND_DN)'
          : `the directory answered ${error.name}`
      throw new SourceUnavailable(words, { cause: error })
    }
  }
}
