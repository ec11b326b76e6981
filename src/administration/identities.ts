import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { type ActivityEntry, listActivityEntries } from '../domain/activity.ts'
import { correctAccount } from '../domain/accounts/corrections.ts'
import { deleteAccount, restoreAccount } from '../domain/accounts/deletions.ts'
import { eraseAccount } from '../domain/accounts/erasure.ts'
import { exportForOperator } from '../domain/accounts/exports.ts'
import { sendPasswordReset } from '../domain/accounts/password-resets.ts'
import { LONGEST_PICTURE, PROFILE_FIELDS, type ProfileField, profileOf } from '../domain/identities/profiles.ts'
import { changeAppRoles } from '../domain/apps/app-roles.ts'
import { endIdentitySessions } from '../domain/endings/endings.ts'
import { setAttribute } from '../domain/identities/attributes.ts'
import { standardClaims } from '../domain/identities/claims.ts'
import { findGroup } from '../domain/identities/groups.ts'
import {
  changeRoles,
  disableIdentity,
  enableIdentity,
  findIdentity,
  type IdentityRow,
  listIdentities,
  register,
  revokeEverything,
  stateOf,
} from '../domain/identities/identities.ts'
import { readRoles } from '../domain/identities/roles.ts'
import { Refused, refusedFields } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { unlockAccount } from '../domain/sign-in/attempts.ts'
import { findLastSignIn, type IdentitySessionRow, listIdentitySessions } from '../domain/sign-in/identity-sessions.ts'
import { listSecondFactors, resetSecondFactors, takeSecondFactor } from '../domain/sign-in/second-factors.ts'
import { browserMessage } from '../domain/user-agents.ts'
import { isUuid } from '../domain/uuid.ts'
import { englishTexts } from '../i18n/texts.ts'
import { IDENTITY, theIdentity, theIdentityToChange } from './found-identities.ts'
import { operation } from './operation.ts'
import { cursorOf, keyIn, listOf, PAGE, pageOf } from './pages-of-lists.ts'

const STATES = ['enabled', 'disabled', 'deleted'] as const

const identity = z
  .object({
    id: z.uuid(),
    username: z.string(),
    email: z.string(),
    email_verified: z.boolean(),
    name: z.string().nullable(),
    state: z.enum(STATES),
    roles: z.array(z.string()).describe('The roles that tokens carry: the assigned ones, and those of the groups.'),
    assigned_roles: z.array(z.string()).describe('The roles that it has whatever its groups are.'),
    groups: z.array(z.object({ id: z.uuid(), name: z.string() })),
    app_roles: z.record(z.string(), z.array(z.string())).describe('The roles in single apps, by client id.'),
    attributes: z.record(z.string(), z.string()),
    source: z
      .object({ id: z.string(), is_disabled: z.boolean() })
      .nullable()
      .describe(
        'Of a user of the identity source: the id there, and whether the source has disabled them. Null for an account that is here alone.',
      ),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    erased_from: z.iso.datetime().nullable().describe('When a deleted identity will be erased.'),
  })
  .meta({ id: 'Identity' })

const secondFactor = z
  .object({
    id: z.uuid(),
    kind: z.enum(['totp', 'passkey']),
    name: z.string(),
    is_second_step: z
      .boolean()
      .describe('False for a passkey that signs in alone and leaves two-step verification off.'),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'SecondFactor' })

const details = identity
  .extend({
    owns_email: z.boolean().describe('False while the e-mail address belongs to another identity.'),
    profile: z.record(z.string(), z.string()).describe('What the user has said, by the name of the claim.'),
    claims: z.record(z.string(), z.unknown()).describe('The standard claims that apps can have of it.'),
    second_factors: z.array(secondFactor),
    recovery_codes_left: z.number().int(),
    locale: z.string().nullable(),
    zoneinfo: z.string().nullable(),
    last_sign_in_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'IdentityDetails' })

const session = z
  .object({
    id: z.uuid(),
    browser: z.string(),
    user_agent: z.string(),
    address: z.string(),
    amr: z.array(z.string()).describe('How it signed in (RFC 8176).'),
    created_at: z.iso.datetime(),
    last_seen_at: z.iso.datetime(),
  })
  .meta({ id: 'IdentitySession' })

const event = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    kind: z.string(),
    sentence: z.string().describe('What the user reads on the activity page, in English.'),
    is_warning: z.boolean(),
    client_id: z.string().nullable(),
    family_id: z.uuid().nullable(),
    cause: z.string().nullable(),
    detail: z.string().nullable(),
    browser: z.string().nullable(),
    address: z.string().nullable(),
    actor: z.string().nullable().describe('The operator in whose name it was done.'),
  })
  .meta({ id: 'IdentityEvent' })

/** Also as text, because a query has no other. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')])
const roleNames = z.array(z.string().max(64)).max(100)
const profileFields = Object.fromEntries(
  PROFILE_FIELDS.map((field) => [
    field,
    z
      .string()
      .max(LONGEST_PICTURE * 2)
      .optional(),
  ]),
) as Record<ProfileField, z.ZodOptional<z.ZodString>>

const reading = { resource: 'identities', kind: 'read', forSupport: true } as const
const change = { resource: 'identities', kind: 'write', forSupport: false } as const
const help = { ...change, forSupport: true } as const

export const IDENTITY_OPERATIONS = {
  listIdentities: operation({
    name: 'listIdentities',
    summary: 'List identities by user name, or find them by the beginning of a user name, e-mail address or name.',
    method: 'get',
    path: '/identities',
    ...reading,
    input: z.strictObject({
      search: z
        .string()
        .max(254)
        .optional()
        .describe('What the user name, e-mail address, name or family name begins with.'),
      state: z.enum(STATES).optional(),
      role: z.string().min(1).max(64).optional().describe('A role that they have, also by a group.'),
      group: z.string().min(1).max(200).optional().describe('The id or the name of a group that they are members of.'),
      ...PAGE,
    }),
    output: listOf(identity),
    async act(services, { search, state, role, group, limit, cursor }) {
      const [key, id] = keyIn(cursor, 2) ?? []
      if (cursor !== undefined && (typeof key !== 'string' || typeof id !== 'string' || !isUuid(id)))
        throw new Refused('cursor: is not the next_cursor of an answer')
      const found = group === undefined ? null : await findGroup(services, group)
      if (group !== undefined && found === null) throw new Refused(`there is no group ${group}`, 'not_found')
      const { identities, next } = await listIdentities(services, {
        prefix: search ?? '',
        state: state ?? null,
        role: role ?? null,
        groupId: found?.id ?? null,
        after: typeof key === 'string' && typeof id === 'string' ? { key, id } : null,
        limit,
      })
      return { items: identities.map(describe), next_cursor: next && cursorOf([next.key, next.id]) }
    },
  }),

  createIdentity: operation({
    name: 'createIdentity',
    summary: 'Create an identity. Without a password it signs in with one only after a reset.',
    method: 'post',
    path: '/identities',
    ...change,
    status: 201,
    input: z.strictObject({
      username: z.string().min(1).max(200),
      email: z.string().min(1).max(300),
      email_verified: z.boolean().default(false).describe('The address is known to be theirs.'),
      password: z.string().min(1).max(1000).optional(),
      roles: roleNames.default([]),
    }),
    output: identity,
    async act(services, { username, email, email_verified: emailVerified, password, roles }) {
      const secret = password ?? randomBytes(32).toString('base64url')
      const outcome = await register(services, { username, email, password: secret }, null, {
        roles: readRoles(roles),
        emailVerified,
      })
      if (outcome.kind === 'refused') {
        const isTaken = Object.values(outcome.problems).some(({ key }) => CONFLICTS.has(key))
        throw refusedFields({ ...outcome.problems }, isTaken ? 'conflict' : 'invalid')
      }
      return describe(outcome.identity)
    },
  }),

  showIdentity: operation({
    name: 'showIdentity',
    summary: 'Show an identity: names, roles, groups, attributes and sign-in methods.',
    method: 'get',
    path: '/identities/{identity}',
    ...reading,
    input: z.strictObject(IDENTITY),
    output: details,
    async act(services, { identity: login }) {
      return describeInFull(services, await theIdentity(services, login))
    },
  }),

  updateIdentity: operation({
    name: 'updateIdentity',
    summary:
      'Correct the user name, e-mail address or profile of an identity. The user is told of a new address at both.',
    method: 'patch',
    path: '/identities/{identity}',
    ...change,
    input: z.strictObject({
      ...IDENTITY,
      username: z.string().min(1).max(200).optional(),
      email: z.string().min(1).max(300).optional(),
      email_verified: z
        .literal(true)
        .optional()
        .describe('The address is known to be theirs. Without it a new address has to be confirmed by its owner.'),
      profile: z.strictObject(profileFields).optional().describe('What is named changes; an empty text removes it.'),
    }),
    output: details,
    async act(services, { identity: login, username, email, email_verified: emailVerified, profile }) {
      const { id } = await theIdentityToChange(services, login)
      await correctAccount(services, id, { username, email, emailVerified, profile: definedOf(profile ?? {}) })
      return describeInFull(services, await theIdentity(services, id))
    },
  }),

  setIdentityRoles: operation({
    name: 'setIdentityRoles',
    summary: 'Set the assigned roles of an identity; its apps get them with their next refresh.',
    method: 'put',
    path: '/identities/{identity}/roles',
    ...change,
    input: z.strictObject({ ...IDENTITY, roles: roleNames }),
    output: identity,
    act: async (services, { identity: login, roles }) =>
      changed(services, login, (id) => changeRoles(services, id, roles)),
  }),

  setIdentityAppRoles: operation({
    name: 'setIdentityAppRoles',
    summary: 'Set the roles that an identity has in one app alone.',
    method: 'put',
    path: '/identities/{identity}/app-roles/{client_id}',
    ...change,
    input: z.strictObject({ ...IDENTITY, client_id: z.string().min(1).max(200), roles: roleNames }),
    output: identity,
    act: async (services, { identity: login, client_id: clientId, roles }) =>
      changed(services, login, (id) => changeAppRoles(services, id, clientId, readRoles(roles))),
  }),

  setIdentityAttribute: operation({
    name: 'setIdentityAttribute',
    summary: 'Set an attribute of an identity, for the claims of apps.',
    method: 'put',
    path: '/identities/{identity}/attributes/{attribute}',
    ...change,
    input: z.strictObject({ ...IDENTITY, attribute: z.string().min(1).max(200), value: z.string().max(2000) }),
    output: identity,
    act: async (services, { identity: login, attribute, value }) =>
      changed(services, login, (id) => changeAttribute(services, id, attribute, value)),
  }),

  removeIdentityAttribute: operation({
    name: 'removeIdentityAttribute',
    summary: 'Remove an attribute of an identity.',
    method: 'delete',
    path: '/identities/{identity}/attributes/{attribute}',
    ...change,
    input: z.strictObject({ ...IDENTITY, attribute: z.string().min(1).max(200) }),
    output: null,
    async act(services, { identity: login, attribute }) {
      const { id } = await theIdentityToChange(services, login)
      await changeAttribute(services, id, attribute, null)
      return null
    },
  }),

  disableIdentity: operation({
    name: 'disableIdentity',
    summary: 'Refuse an identity, and end everything it has.',
    method: 'put',
    path: '/identities/{identity}/disablement',
    ...change,
    input: z.strictObject(IDENTITY),
    output: identity,
    act: async (services, { identity: login }) => changed(services, login, (id) => disableIdentity(services, id)),
  }),

  enableIdentity: operation({
    name: 'enableIdentity',
    summary: 'Let a disabled identity sign in again; what ended stays ended.',
    method: 'delete',
    path: '/identities/{identity}/disablement',
    ...change,
    input: z.strictObject(IDENTITY),
    output: identity,
    act: async (services, { identity: login }) => changed(services, login, (id) => enableIdentity(services, id)),
  }),

  sendPasswordReset: operation({
    name: 'sendPasswordReset',
    summary: 'Send an identity the mail with which it chooses a new password.',
    method: 'post',
    path: '/identities/{identity}/password-reset',
    ...help,
    input: z.strictObject(IDENTITY),
    output: null,
    async act(services, { identity: login }) {
      await sendPasswordReset(services, (await theIdentityToChange(services, login)).id)
      return null
    },
  }),

  removeSecondFactor: operation({
    name: 'removeSecondFactor',
    summary: 'Remove one sign-in method that an identity has lost; it is told by mail.',
    method: 'delete',
    path: '/identities/{identity}/second-factors/{factor}',
    ...change,
    input: z.strictObject({ ...IDENTITY, factor: z.uuid() }),
    output: null,
    async act(services, { identity: login, factor }) {
      await takeSecondFactor(services, (await theIdentityToChange(services, login)).id, factor)
      return null
    },
  }),

  resetSecondFactors: operation({
    name: 'resetSecondFactors',
    summary: 'Remove every second factor of an identity that has lost them; it is told by mail.',
    method: 'delete',
    path: '/identities/{identity}/second-factors',
    ...change,
    input: z.strictObject(IDENTITY),
    output: null,
    async act(services, { identity: login }) {
      await resetSecondFactors(services, (await theIdentityToChange(services, login)).id)
      return null
    },
  }),

  listIdentitySessions: operation({
    name: 'listIdentitySessions',
    summary: 'List the browsers that an identity is signed in with, the one seen last first; 200 at most.',
    method: 'get',
    path: '/identities/{identity}/sessions',
    ...reading,
    input: z.strictObject(IDENTITY),
    output: listOf(session),
    async act(services, { identity: login }) {
      const { id } = await theIdentity(services, login)
      return { items: (await listIdentitySessions(services, id)).map(describeSession), next_cursor: null }
    },
  }),

  endIdentitySession: operation({
    name: 'endIdentitySession',
    summary: 'Sign an identity out of one browser, and of the apps that follow it.',
    method: 'delete',
    path: '/identities/{identity}/sessions/{session}',
    ...help,
    input: z.strictObject({ ...IDENTITY, session: z.uuid() }),
    output: null,
    async act(services, { identity: login, session: id }) {
      const { id: identityId, username } = await theIdentityToChange(services, login)
      if ((await endIdentitySessions(services, { identityId, id }, 'operator', null)) === 0)
        throw new Refused(`${username} is not signed in to a browser ${id}`, 'not_found')
      return null
    },
  }),

  revokeEverything: operation({
    name: 'revokeEverything',
    summary: 'Sign an identity out of every browser and every app; it may sign in again.',
    method: 'delete',
    path: '/identities/{identity}/sessions',
    ...help,
    input: z.strictObject(IDENTITY),
    output: null,
    async act(services, { identity: login }) {
      await revokeEverything(services, (await theIdentityToChange(services, login)).id)
      return null
    },
  }),

  unlockIdentity: operation({
    name: 'unlockIdentity',
    summary: 'Forget the failed attempts at an identity, so that it can sign in without a wait.',
    method: 'delete',
    path: '/identities/{identity}/attempts',
    ...help,
    input: z.strictObject(IDENTITY),
    output: null,
    async act(services, { identity: login }) {
      await unlockAccount(services, await theIdentityToChange(services, login))
      return null
    },
  }),

  deleteIdentity: operation({
    name: 'deleteIdentity',
    summary: 'Delete an identity: sign it out everywhere now, and erase it after the grace period.',
    method: 'delete',
    path: '/identities/{identity}',
    ...change,
    input: z.strictObject({ ...IDENTITY, now: flag.default(false).describe('Erase it at once.') }),
    output: z.object({ id: z.uuid(), erased_from: z.iso.datetime().nullable().describe('Null when it is erased.') }),
    async act(services, { identity: login, now }) {
      const { id } = await theIdentityToChange(services, login)
      await deleteAccount(services, id, null, now ? 0 : undefined)
      if (now) await eraseAccount(services, id)
      const left = await findIdentity(services, id)
      return { id, erased_from: left?.erasedFrom?.toISOString() ?? null }
    },
  }),

  keepIdentity: operation({
    name: 'keepIdentity',
    summary: 'Keep a deleted identity that is not erased yet; what ended stays ended.',
    method: 'delete',
    path: '/identities/{identity}/deletion',
    ...change,
    input: z.strictObject(IDENTITY),
    output: identity,
    act: async (services, { identity: login }) => changed(services, login, (id) => restoreAccount(services, id)),
  }),

  exportIdentity: operation({
    name: 'exportIdentity',
    summary: 'Export everything held about an identity, as its user gets it.',
    method: 'post',
    path: '/identities/{identity}/export',
    ...change,
    input: z.strictObject(IDENTITY),
    output: z.record(z.string(), z.unknown()).meta({ id: 'IdentityExport' }),
    async act(services, { identity: login }) {
      const { id } = await theIdentityToChange(services, login)
      let text = ''
      for await (const piece of exportForOperator(services, id, englishTexts())) text += piece
      return JSON.parse(text) as Record<string, unknown>
    },
  }),

  listIdentityEvents: operation({
    name: 'listIdentityEvents',
    summary: 'List what happened to an identity, newest first.',
    method: 'get',
    path: '/identities/{identity}/events',
    ...reading,
    input: z.strictObject({ ...IDENTITY, ...PAGE }),
    output: listOf(event),
    async act(services, { identity: login, limit, cursor }) {
      const { id } = await theIdentity(services, login)
      const before = keyIn(cursor, 1)?.[0] ?? null
      if (before !== null && !/^\d{1,18}$/.test(before))
        throw new Refused('cursor: is not the next_cursor of an answer')
      const rows = await listActivityEntries(services, id, limit + 1, before)
      return pageOf(rows, limit, describeEvent, (row) => [row.id])
    },
  }),
}

/** Words that say that another identity has it. */
const CONFLICTS: ReadonlySet<string> = new Set(['user_name.taken', 'user_name.alike', 'email.taken'])

async function changed(
  services: Services,
  login: string,
  act: (id: string) => Promise<void>,
): Promise<z.output<typeof identity>> {
  const { id } = await theIdentityToChange(services, login)
  await act(id)
  return describe(await theIdentity(services, id))
}

async function changeAttribute(services: Services, id: string, name: string, value: string | null): Promise<void> {
  const outcome = await setAttribute(services, id, name, value)
  if (outcome.kind === 'refused') throw new Refused(outcome.problem)
}

function describe(row: IdentityRow): z.output<typeof identity> {
  return {
    id: row.id,
    username: row.username,
    email: row.email,
    email_verified: row.emailVerified,
    name: row.name,
    state: stateOf(row),
    roles: row.roles,
    assigned_roles: row.assignedRoles,
    groups: row.groupIds.map((id, index) => ({ id, name: row.groups[index] ?? '' })),
    app_roles: row.appRoles as Record<string, string[]>,
    attributes: row.attributes as Record<string, string>,
    source: row.sourceId === null ? null : { id: row.sourceId, is_disabled: row.disabledBySource },
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    erased_from: row.erasedFrom?.toISOString() ?? null,
  }
}

async function describeInFull(services: Services, row: IdentityRow): Promise<z.output<typeof details>> {
  const { factors, recoveryCodesLeft } = await listSecondFactors(services, row.id)
  const profile = Object.entries(profileOf(row)).filter(([, value]) => value !== '')
  return {
    ...describe(row),
    owns_email: row.emailKey !== null,
    profile: Object.fromEntries(profile),
    claims: standardClaims(row),
    second_factors: factors.map(({ id, kind, name, isSecondStep, createdAt, lastUsedAt }) => ({
      id,
      kind,
      name,
      is_second_step: isSecondStep,
      created_at: createdAt.toISOString(),
      last_used_at: lastUsedAt?.toISOString() ?? null,
    })),
    recovery_codes_left: recoveryCodesLeft,
    locale: row.locale,
    zoneinfo: row.zoneinfo,
    last_sign_in_at: (await findLastSignIn(services, row.id))?.toISOString() ?? null,
  }
}

function describeSession(row: IdentitySessionRow): z.output<typeof session> {
  return {
    id: row.id,
    browser: englishTexts().say(browserMessage(row.browser)),
    user_agent: row.browser,
    address: row.address,
    amr: row.amr,
    created_at: row.createdAt.toISOString(),
    last_seen_at: row.lastSeenAt.toISOString(),
  }
}

function describeEvent(entry: ActivityEntry): z.output<typeof event> {
  return {
    id: entry.id,
    at: entry.at.toISOString(),
    kind: entry.kind,
    sentence: englishTexts().say(entry.sentence),
    is_warning: entry.tone === 'warning',
    client_id: entry.clientId,
    family_id: entry.familyId,
    cause: entry.cause,
    detail: entry.detail,
    browser: entry.browser,
    address: entry.address,
    actor: entry.actor,
  }
}

/** Without the fields that are not named. */
function definedOf(given: Partial<Record<ProfileField, string | undefined>>): Partial<Record<ProfileField, string>> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
