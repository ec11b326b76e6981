import { randomUUID } from 'node:crypto'
import { englishTexts } from '../../i18n/texts.ts'
import { message } from '../../i18n/messages.ts'
import { insertAuditEvents, type NewAuditRow } from '../../storage/audit.ts'
import { holdGroups } from '../../storage/groups.ts'
import {
  insertImported,
  insertMemberships,
  insertTotpKeys,
  listHoldersOfKeys,
  listHoldersOfSkeletons,
  listPasswordHashes as listHashes,
} from '../../storage/imports.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { setAttribute } from '../identities/attributes.ts'
import { settleEntitlements } from '../identities/entitlements.ts'
import { addMembers, findGroup, type GroupRow } from '../identities/groups.ts'
import { changeRoles, findIdentity } from '../identities/identities.ts'
import { refuseNarrowOperator } from '../identities/administrators.ts'
import { unusableHash } from '../passwords/passwords.ts'
import { type FieldProblem, Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { totpKeyOf } from '../sign-in/totp.ts'
import { correctAccount } from './corrections.ts'
import { type Candidate, type CandidateName, examine, type ImportedIdentity } from './imported-identities.ts'
import { profileRowOf } from '../identities/profiles.ts'

export interface ImportOptions {
  /** Whether an identity that exists is changed to what is imported; else it stays as it is. */
  update: boolean
  /** Finds what is wrong, and changes nothing. */
  dryRun: boolean
  /** Whether what cannot be stored of an identity is left out of it; else it refuses the identity. */
  leavesOut: boolean
}

export type ImportOutcome =
  | { kind: 'created' | 'updated'; id: string | null; problems: []; leftOut: FieldProblem[] }
  | { kind: 'unchanged' | 'skipped'; id: string; problems: []; leftOut: FieldProblem[] }
  | { kind: 'refused'; id: null; problems: FieldProblem[]; leftOut: [] }

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

/** A candidate that is no identity yet, with the user name that it gets. */
interface Newcomer {
  index: number
  candidate: Candidate
  name: CandidateName
}

async function importOnce(
  services: Services,
  imported: ImportedIdentity[],
  { update, dryRun, leavesOut }: ImportOptions,
): Promise<ImportOutcome[]> {
  const groups = await groupsOf(services, imported)
  const now = services.clock()
  const candidates = imported.map((each) => examine(each, groups, leavesOut, now))
  const holders = await findHolders(services, candidates)
  const outcomes: ImportOutcome[] = candidates.map(({ problems }) => refusal(problems))
  const fresh: Newcomer[] = []
  for (const [index, candidate] of candidates.entries()) {
    const { problems, names, hasOwnName, emailKey, leftOut } = candidate
    if (problems.length > 0) continue
    const keys = [emailKey, ...(hasOwnName ? names.map(({ key }) => key) : [])]
    const found = new Set(keys.map((key) => holders.keys.get(key)).filter((id) => id !== undefined))
    const [id] = found
    if (found.size > 1)
      outcomes[index] = refusal([
        { field: '', problem: 'the user name is that of one identity, the e-mail address that of another' },
      ])
    else if (id !== undefined) {
      if (!update) outcomes[index] = { kind: 'skipped', id, problems: [], leftOut: [] }
      else if (dryRun) outcomes[index] = { kind: 'updated', id, problems: [], leftOut }
      else outcomes[index] = await updateExisting(services, id, candidate)
    } else {
      const name = names.find((each) => takenProblem(each, holders) === null)
      if (name === undefined)
        outcomes[index] = refusal([takenProblem(names[0] as CandidateName, holders) as FieldProblem])
      else if (holders.taken.has(emailKey)) outcomes[index] = refusal([problem('email', 'email.taken')])
      else {
        for (const key of [name.key, emailKey, ...name.skeletons]) holders.taken.add(key)
        fresh.push({ index, candidate, name })
      }
    }
  }
  const ids = dryRun ? fresh.map(() => null) : await createAll(services, fresh)
  for (const [at, { index, candidate, name }] of fresh.entries()) {
    const { leftOut, given } = candidate
    const isRenamed = given.username !== undefined && !candidate.hasOwnName
    const renamed = { field: 'username', problem: `is ${name.username} here` }
    outcomes[index] = {
      kind: 'created',
      id: ids[at] ?? null,
      problems: [],
      leftOut: isRenamed ? [...leftOut, renamed] : leftOut,
    }
  }
  return outcomes
}

function refusal(problems: FieldProblem[]): ImportOutcome {
  return { kind: 'refused', id: null, problems, leftOut: [] }
}

function problem(field: string, key: 'email.taken' | 'user_name.taken' | 'user_name.alike'): FieldProblem {
  return { field, problem: englishTexts().say(message(key)) }
}

async function groupsOf(services: Services, imported: ImportedIdentity[]): Promise<Map<string, GroupRow | null>> {
  const names = [...new Set(imported.flatMap(({ groups }) => groups ?? []))]
  return new Map(await Promise.all(names.map(async (name) => [name, await findGroup(services, name)] as const)))
}

/** Which identity has a key or a skeleton already, and what those have that are created with it. */
interface Holders {
  keys: Map<string, string>
  skeletons: Set<string>
  taken: Set<string>
}

async function findHolders({ storage }: Services, candidates: Candidate[]): Promise<Holders> {
  const valid = candidates.filter(({ problems }) => problems.length === 0)
  const names = valid.flatMap((each) => each.names)
  const keys = [...valid.map(({ emailKey }) => emailKey), ...names.map(({ key }) => key)]
  const [byKey, bySkeleton] = [
    await listHoldersOfKeys(storage, keys),
    await listHoldersOfSkeletons(
      storage,
      names.flatMap(({ skeletons }) => skeletons),
    ),
  ]
  return {
    keys: new Map(byKey.map(({ key, identityId }) => [key, identityId])),
    skeletons: new Set(bySkeleton.map(({ key }) => key)),
    taken: new Set(),
  }
}

/** Why a new identity cannot have this user name; null when it can. */
function takenProblem({ key, skeletons }: CandidateName, holders: Holders): FieldProblem | null {
  if (holders.keys.has(key) || holders.taken.has(key)) return problem('username', 'user_name.taken')
  return skeletons.some((each) => holders.skeletons.has(each) || holders.taken.has(each))
    ? problem('username', 'user_name.alike')
    : null
}

/** @throws a unique violation when a name or an address was taken meanwhile */
async function createAll(services: Services, newcomers: Newcomer[]): Promise<string[]> {
  if (newcomers.length === 0) return []
  const candidates = newcomers.map(({ candidate }) => candidate)
  for (const { roles } of candidates) refuseNarrowOperator(services, roles)
  return transaction(services.storage.pool, async (db) => {
    const now = services.clock()
    // The groups before their members, as everywhere.
    await holdGroups(db, [...new Set(candidates.flatMap(({ groups }) => groups.map(({ id }) => id)))].toSorted())
    const ids = newcomers.map(() => randomUUID() as string)
    const idAt = (at: number) => ids[at] as string
    await insertImported(
      db,
      newcomers.map(({ candidate, name }, at) => rowOf(candidate, name, idAt(at), now)),
    )
    const keys = candidates.flatMap(({ totpSecrets }, at) =>
      totpSecrets.map((secret) => totpKeyOf(services, idAt(at), secret, IMPORTED_APP, now)),
    )
    await insertTotpKeys(db, keys)
    const events = candidates.flatMap(({ given }, at) => eventsOf(services, given, idAt(at)))
    await insertAuditEvents(db, events, now)
    await joinGroups(services, db, candidates, ids, now)
    return ids
  })
}

/** The name of an authenticator app that was set up elsewhere. */
const IMPORTED_APP = 'Authenticator'

function rowOf(
  { given, email, emailKey, profile, roles, attributes, passwordHash }: Candidate,
  { username, key, skeletons }: CandidateName,
  id: string,
  now: Date,
) {
  return {
    ...profileRowOf(profile),
    id,
    username,
    usernameKey: key,
    skeletons,
    email,
    emailKey,
    emailVerified: given.emailVerified,
    passwordHash: passwordHash ?? unusableHash(),
    // How long the password is, its hash does not say.
    passwordStandsAlone: passwordHash === null,
    roles,
    attributes,
    createdAt: given.createdAt ?? now,
    updatedAt: now,
    disabledAt: given.isDisabled ? now : null,
  }
}

function eventsOf({ operator: actor }: Services, { isDisabled }: ImportedIdentity, identityId: string): NewAuditRow[] {
  const kinds = isDisabled ? (['registered', 'identity_disabled'] as const) : (['registered'] as const)
  return kinds.map((kind) => ({ kind, identityId, actor }))
}

async function joinGroups(
  services: Services,
  db: Queryable,
  candidates: Candidate[],
  ids: string[],
  now: Date,
): Promise<void> {
  const memberships = candidates.flatMap(({ groups }, at) => {
    const names = new Map(groups.map(({ id, name }) => [id, name]))
    return [...names].map(([groupId, name]) => ({ groupId, name, identityId: ids[at] as string }))
  })
  if (memberships.length === 0) return
  await insertMemberships(db, memberships, now)
  await settleEntitlements(services, db, [...new Set(memberships.map(({ identityId }) => identityId))])
  const event = { kind: 'groups_changed' as const, actor: services.operator }
  const events = memberships.map(({ identityId, name }) => ({ ...event, identityId, detail: `+${name}` }))
  await insertAuditEvents(db, events, now)
}

/**
 * Changes an identity to what is imported. Groups and attributes are added to those that it has; its password and its second
 * factors stay as they are.
 */
async function updateExisting(
  services: Services,
  id: string,
  { given, profile, names, hasOwnName, email, roles, attributes, groups, leftOut }: Candidate,
): Promise<ImportOutcome> {
  const before = await findIdentity(services, id)
  try {
    refuseNarrowOperator(services, before?.roles ?? [])
    await correctAccount(services, id, {
      ...(hasOwnName ? { username: names[0]?.username } : {}),
      email,
      ...(given.emailVerified ? { emailVerified: true } : {}),
      profile,
    })
    if (given.roles !== undefined) await changeRoles(services, id, roles)
    for (const [attribute, value] of Object.entries(attributes)) {
      const outcome = await setAttribute(services, id, attribute, value)
      if (outcome.kind === 'refused') return refusal([{ field: 'attributes', problem: outcome.problem }])
    }
    for (const group of groups) await addMembers(services, group.id, [id])
  } catch (error) {
    if (error instanceof Refused)
      return refusal(error.problems.length > 0 ? error.problems : [{ field: '', problem: error.message }])
    throw error
  }
  const after = await findIdentity(services, id)
  const isChanged =
    before?.updatedAt.getTime() !== after?.updatedAt.getTime() || before?.claimsVersion !== after?.claimsVersion
  return { kind: isChanged ? 'updated' : 'unchanged', id, problems: [], leftOut }
}

/** The hashes of the passwords of these identities, by id, for an import elsewhere. */
export async function listPasswordHashes({ storage }: Services, ids: string[]): Promise<Map<string, string>> {
  return new Map((await listHashes(storage, ids)).map(({ id, passwordHash }) => [id, passwordHash]))
}
