import { randomUUID } from 'node:crypto'
import type { Message } from '../../i18n/messages.ts'
import { message } from '../../i18n/messages.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { holdGroups, insertMembers } from '../../storage/groups.ts'
import { insertIdentity } from '../../storage/identities.ts'
import {
  fillImported,
  type KeyHolder,
  listHoldersOfKeys,
  listHoldersOfSkeletons,
  listPasswordHashes as listHashes,
} from '../../storage/imports.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { attributeProblem, MOST_ATTRIBUTES, setAttribute } from '../identities/attributes.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import { settleEntitlements, writeGroupsChanged } from '../identities/entitlements.ts'
import { addMembers, findGroup, type GroupRow } from '../identities/groups.ts'
import { changeRoles, findIdentity } from '../identities/identities.ts'
import { refuseNarrowOperator } from '../identities/administrators.ts'
import { readRoles } from '../identities/roles.ts'
import { canonicalUserName, skeletonsOf, userNameProblem } from '../identities/user-names.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { isOwnHash, unusableHash } from '../passwords/passwords.ts'
import { type FieldProblem, Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { correctAccount } from './corrections.ts'
import { examineProfile } from './profiles.ts'

/** An identity from elsewhere. What is undefined stays as it is in an update. */
export interface ImportedIdentity {
  username: string
  email: string
  emailVerified: boolean
  name: string | undefined
  roles: string[] | undefined
  /** By name or id. */
  groups: string[] | undefined
  attributes: Record<string, string> | undefined
  /** Only of a new identity; without it, its user chooses a password by a reset. */
  passwordHash: string | undefined
  /** Only of a new identity. */
  isDisabled: boolean
}

export interface ImportOptions {
  /** Whether an identity that exists is changed to what is imported; else it stays as it is. */
  update: boolean
  /** Finds what is wrong, and changes nothing. */
  dryRun: boolean
}

export type ImportOutcome =
  | { kind: 'created' | 'updated' | 'unchanged' | 'skipped'; id: string | null; problems: [] }
  | { kind: 'refused'; id: null; problems: FieldProblem[] }

/**
 * Imports up to a few hundred identities. Each is examined by the rules of a registration; those that are refused do not keep the
 * others out. New ones are created in one transaction with all that they have, so that an import that was interrupted can be run
 * again. An identity that exists is one with the user name or the e-mail address. @returns an outcome for each, in their order
 */
export async function importIdentities(
  services: Services,
  imported: ImportedIdentity[],
  options: ImportOptions,
): Promise<ImportOutcome[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await importOnce(services, imported, options)
    } catch (error) {
      // Another user registered one of the names between the check and the insert, which the next check finds.
      if (!isUniqueViolation(error) || attempt === MOST_ATTEMPTS) throw error
    }
  }
}

const MOST_ATTEMPTS = 3

async function importOnce(
  services: Services,
  imported: ImportedIdentity[],
  { update, dryRun }: ImportOptions,
): Promise<ImportOutcome[]> {
  const groups = await groupsOf(services, imported)
  const candidates = imported.map((each) => examine(each, groups))
  const holders = await findHolders(services, candidates)
  const outcomes: ImportOutcome[] = candidates.map(({ problems }) => refusal(problems))
  const fresh: { index: number; candidate: Candidate }[] = []
  const taken: KeyHolder[] = []
  for (const [index, candidate] of candidates.entries()) {
    if (candidate.problems.length > 0) continue
    const found = new Set(candidate.keys.map((key) => holders.keys.get(key)).filter((id) => id !== undefined))
    const [id] = found
    if (found.size > 1)
      outcomes[index] = refusal([
        { field: '', problem: 'the user name is that of one identity, the e-mail address that of another' },
      ])
    else if (id !== undefined) {
      if (!update) outcomes[index] = { kind: 'skipped', id, problems: [] }
      else if (dryRun) outcomes[index] = { kind: 'updated', id, problems: [] }
      else outcomes[index] = await updateExisting(services, id, candidate)
    } else {
      const problems = takenProblems(candidate, holders, taken)
      if (problems.length > 0) outcomes[index] = refusal(problems)
      else {
        taken.push(...[...candidate.keys, ...candidate.skeletons].map((key) => ({ key, identityId: '' })))
        fresh.push({ index, candidate })
      }
    }
  }
  const ids = dryRun
    ? fresh.map(() => null)
    : await createAll(
        services,
        fresh.map(({ candidate }) => candidate),
      )
  for (const [at, { index }] of fresh.entries())
    outcomes[index] = { kind: 'created', id: ids[at] ?? null, problems: [] }
  return outcomes
}

function refusal(problems: FieldProblem[]): ImportOutcome {
  return { kind: 'refused', id: null, problems }
}

/** What is imported, in its canonical form, and what is wrong with it. */
interface Candidate {
  given: ImportedIdentity
  username: string
  email: string
  /** Of its user name and e-mail address. */
  keys: string[]
  skeletons: string[]
  name: string | null
  groups: GroupRow[]
  problems: FieldProblem[]
}

function examine(given: ImportedIdentity, known: Map<string, GroupRow | null>): Candidate {
  const username = canonicalUserName(given.username)
  const email = canonicalEmail(given.email)
  const profile = examineProfile(given.name === undefined ? {} : { name: given.name })
  const groups = (given.groups ?? []).map((name) => known.get(name) ?? null)
  const attributes = Object.entries(given.attributes ?? {})
  const problems = [
    ...inWords('username', userNameProblem(username)),
    ...inWords('email', emailProblem(email)),
    ...inWords('name', profile.problems.name ?? null),
    ...rolesProblem(given.roles ?? []),
    ...(given.groups ?? [])
      .filter((_, at) => groups[at] === null)
      .map((name) => problem('groups', `there is no group ${name}`)),
    ...attributes.flatMap(([name, value]) => {
      const found = attributeProblem(name, value)
      return found === null ? [] : [problem('attributes', `${name}: ${found}`)]
    }),
    ...(attributes.length > MOST_ATTRIBUTES
      ? [problem('attributes', `an identity has at most ${MOST_ATTRIBUTES} attributes`)]
      : []),
    ...(given.passwordHash === undefined || isOwnHash(given.passwordHash)
      ? []
      : [problem('password_hash', FOREIGN_HASH)]),
  ]
  return {
    given,
    username,
    email,
    keys: [loginKeyOf(username), loginKeyOf(email)],
    skeletons: skeletonsOf(username),
    name: profile.cleaned.name || null,
    groups: groups.filter((group) => group !== null),
    problems,
  }
}

const FOREIGN_HASH =
  'is no hash that Gatehouse makes ($argon2id$v=19$m=…,p=1,t=…); leave it out, and its user chooses a password by a reset'

function problem(field: string, words: string): FieldProblem {
  return { field, problem: words }
}

function inWords(field: string, found: Message | null): FieldProblem[] {
  return found === null ? [] : [problem(field, englishTexts().say(found))]
}

function rolesProblem(roles: string[]): FieldProblem[] {
  try {
    readRoles(roles)
    return []
  } catch (error) {
    if (error instanceof Refused) return [problem('roles', error.message)]
    throw error
  }
}

async function groupsOf(services: Services, imported: ImportedIdentity[]): Promise<Map<string, GroupRow | null>> {
  const names = [...new Set(imported.flatMap(({ groups }) => groups ?? []))]
  return new Map(await Promise.all(names.map(async (name) => [name, await findGroup(services, name)] as const)))
}

/** Which identity has a key or a skeleton already. */
interface Holders {
  keys: Map<string, string>
  skeletons: Map<string, string>
}

async function findHolders({ storage }: Services, candidates: Candidate[]): Promise<Holders> {
  const toMap = (holders: KeyHolder[]) => new Map(holders.map(({ key, identityId }) => [key, identityId]))
  const valid = candidates.filter(({ problems }) => problems.length === 0)
  return {
    keys: toMap(
      await listHoldersOfKeys(
        storage,
        valid.flatMap(({ keys }) => keys),
      ),
    ),
    skeletons: toMap(
      await listHoldersOfSkeletons(
        storage,
        valid.flatMap(({ skeletons }) => skeletons),
      ),
    ),
  }
}

/** @param taken by those before it, which are created with it */
function takenProblems(
  { keys: [nameKey, emailKey], skeletons }: Candidate,
  holders: Holders,
  taken: KeyHolder[],
): FieldProblem[] {
  const isTaken = (key: string | undefined) => taken.some((each) => each.key === key)
  if (isTaken(nameKey)) return inWords('username', message('user_name.taken'))
  const isAlike = skeletons.some((each) => holders.skeletons.has(each) || isTaken(each))
  return [
    ...(isAlike ? inWords('username', message('user_name.alike')) : []),
    ...(isTaken(emailKey) ? inWords('email', message('email.taken')) : []),
  ]
}

/** @throws a unique violation when a name or an address was taken meanwhile */
async function createAll(services: Services, candidates: Candidate[]): Promise<string[]> {
  if (candidates.length === 0) return []
  return transaction(services.storage.pool, async (db) => {
    const now = services.clock()
    // The groups before their members, as everywhere.
    await holdGroups(db, [...new Set(candidates.flatMap(({ groups }) => groups.map(({ id }) => id)))].toSorted())
    const ids: string[] = []
    for (const candidate of candidates) ids.push(await createIn(services, db, candidate, now))
    const actor = services.operator
    await fillImported(
      db,
      candidates.map(({ name, given }, at) => {
        const disabledAt = given.isDisabled ? now : null
        return { id: ids[at] as string, name, attributes: given.attributes ?? {}, disabledAt }
      }),
    )
    const events = candidates.flatMap(({ given }, at) => {
      const identityId = ids[at] as string
      const kinds = given.isDisabled ? ['registered', 'identity_disabled'] : ['registered']
      return kinds.map((kind) => ({ kind, identityId, actor }))
    })
    await insertAuditEvents(db, events, now)
    await joinGroups(services, db, candidates, ids, now)
    return ids
  })
}

async function createIn(
  services: Services,
  db: Queryable,
  { username, email, keys, skeletons, given }: Candidate,
  now: Date,
): Promise<string> {
  const roles = readRoles(given.roles ?? [])
  refuseNarrowOperator(services, roles)
  const identity = {
    id: randomUUID(),
    username,
    usernameKey: keys[0] as string,
    skeletons,
    email,
    emailKey: keys[1] as string,
    emailVerified: given.emailVerified,
    passwordHash: given.passwordHash ?? unusableHash(),
    // How long the password is, its hash does not say.
    passwordStandsAlone: given.passwordHash === undefined,
    roles,
    createdAt: now,
    updatedAt: now,
  }
  const inserted = await insertIdentity(db, identity, false)
  if (inserted === null)
    throw new Refused(`${username} was registered while it was imported; import it again`, 'conflict')
  return inserted.id
}

async function joinGroups(
  services: Services,
  db: Queryable,
  candidates: Candidate[],
  ids: string[],
  now: Date,
): Promise<void> {
  const members = new Map<string, { name: string; ids: string[] }>()
  for (const [at, { groups }] of candidates.entries()) {
    for (const { id, name } of groups) {
      const those = members.get(id) ?? { name, ids: [] }
      those.ids.push(ids[at] as string)
      members.set(id, those)
    }
  }
  for (const [id, { ids: those }] of members) await insertMembers(db, id, [...new Set(those)], now)
  const joined = [...new Set([...members.values()].flatMap((each) => each.ids))]
  if (joined.length === 0) return
  await settleEntitlements(services, db, joined)
  for (const { name, ids: those } of members.values()) await writeGroupsChanged(services, db, those, `+${name}`, now)
}

/** Changes an identity to what is imported. Groups and attributes are added to those that it has. */
async function updateExisting(
  services: Services,
  id: string,
  { given, name, username, email, groups }: Candidate,
): Promise<ImportOutcome> {
  const before = await findIdentity(services, id)
  try {
    refuseNarrowOperator(services, before?.roles ?? [])
    const profile = given.name === undefined ? {} : { profile: { name: name ?? '' } }
    await correctAccount(services, id, {
      username,
      email,
      ...(given.emailVerified ? { emailVerified: true } : {}),
      ...profile,
    })
    if (given.roles !== undefined) await changeRoles(services, id, given.roles)
    for (const [attribute, value] of Object.entries(given.attributes ?? {})) {
      const outcome = await setAttribute(services, id, attribute, value)
      if (outcome.kind === 'refused') return refusal([problem('attributes', outcome.problem)])
    }
    for (const group of groups) await addMembers(services, group.id, [id])
  } catch (error) {
    if (error instanceof Refused)
      return refusal(error.problems.length > 0 ? error.problems : [problem('', error.message)])
    throw error
  }
  const after = await findIdentity(services, id)
  const isChanged =
    before?.updatedAt.getTime() !== after?.updatedAt.getTime() || before?.claimsVersion !== after?.claimsVersion
  return { kind: isChanged ? 'updated' : 'unchanged', id, problems: [] }
}

/** The hashes of the passwords of these identities, by id, for an import elsewhere. */
export async function listPasswordHashes({ storage }: Services, ids: string[]): Promise<Map<string, string>> {
  return new Map((await listHashes(storage, ids)).map(({ id, passwordHash }) => [id, passwordHash]))
}
