import { z } from 'zod'
import {
  findInvitation,
  type InvitationRow,
  invitationLink,
  invite,
  listInvitations,
  resendInvitation,
  revokeInvitation,
} from '../domain/accounts/invitations.ts'
import { findGroup, findGroups } from '../domain/identities/groups.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { operation } from './operation.ts'
import { keyIn, listOf, PAGE, pageOf } from './pages-of-lists.ts'

const invitation = z
  .object({
    id: z.uuid(),
    email: z.string(),
    roles: z.array(z.string()),
    groups: z.array(z.object({ id: z.uuid(), name: z.string() })).describe('Those that still exist.'),
    invited_by: z.string().nullable().describe('The operator.'),
    state: z.enum(['open', 'expired']),
    created_at: z.iso.datetime(),
    sent_at: z.iso.datetime().describe('When its mail was sent last.'),
    sent_count: z.number().int(),
    expires_at: z.iso.datetime(),
  })
  .meta({ id: 'Invitation' })

const withLink = invitation
  .extend({
    link: z
      .url()
      .describe('What the mail leads to. It creates the account, so hand it to the owner of the address only.'),
  })
  .meta({ id: 'InvitationWithLink' })

/** An invitation by its id or address. */
const which = { invitation: z.string().min(1).max(254).describe('The id or the e-mail address of the invitation.') }

const about = { resource: 'invitations', kind: 'read', forSupport: true } as const
const change = { resource: 'invitations', kind: 'write', forSupport: false } as const

export const INVITATION_OPERATIONS = {
  listInvitations: operation({
    name: 'listInvitations',
    summary: 'List the invitations that are not used, by e-mail address.',
    method: 'get',
    path: '/invitations',
    ...about,
    input: z.strictObject({
      search: z.string().max(254).optional().describe('The beginning of the e-mail address.'),
      ...PAGE,
    }),
    output: listOf(invitation),
    async act(services, { search, limit, cursor }) {
      const after = keyIn(cursor, 1)?.[0] ?? null
      const rows = await listInvitations(services, { prefix: search ?? '', after, limit: limit + 1 })
      const describe = await describer(services, rows)
      return pageOf(rows, limit, describe, ({ emailKey }) => [emailKey])
    },
  }),

  showInvitation: operation({
    name: 'showInvitation',
    summary: 'Show an invitation.',
    method: 'get',
    path: '/invitations/{invitation}',
    ...about,
    input: z.strictObject(which),
    output: invitation,
    async act(services, { invitation: id }) {
      const found = await find(services, id)
      return (await describer(services, [found]))(found)
    },
  }),

  createInvitation: operation({
    name: 'createInvitation',
    summary: 'Invite an e-mail address: its owner is sent a link to create an account.',
    method: 'post',
    path: '/invitations',
    ...change,
    status: 201,
    input: z.strictObject({
      email: z.string().min(1).max(254),
      roles: z.array(z.string()).max(100).default([]).describe('The roles of the new identity.'),
      groups: z.array(z.string().min(1).max(200)).max(100).default([]).describe('Its groups, by id or name.'),
    }),
    output: withLink,
    async act(services, { email, roles, groups }) {
      return withItsLink(services, await invite(services, { email, roles, groupIds: await idsOf(services, groups) }))
    },
  }),

  resendInvitation: operation({
    name: 'resendInvitation',
    summary: 'Send the link of an invitation once more; it can be used for another seven days.',
    method: 'post',
    path: '/invitations/{invitation}/resend',
    ...change,
    input: z.strictObject(which),
    output: withLink,
    async act(services, { invitation: id }) {
      return withItsLink(services, await resendInvitation(services, (await find(services, id)).id))
    },
  }),

  revokeInvitation: operation({
    name: 'revokeInvitation',
    summary: 'Take an invitation back; its link works no more.',
    method: 'delete',
    path: '/invitations/{invitation}',
    ...change,
    input: z.strictObject(which),
    output: null,
    async act(services, { invitation: id }) {
      await revokeInvitation(services, (await find(services, id)).id)
      return null
    },
  }),
}

async function find(services: Services, idOrEmail: string): Promise<InvitationRow> {
  const found = await findInvitation(services, idOrEmail)
  if (found === null) throw new Refused(`there is no invitation ${idOrEmail}`, 'not_found')
  return found
}

async function idsOf(services: Services, groups: string[]): Promise<string[]> {
  return Promise.all(
    groups.map(async (idOrName) => {
      const group = await findGroup(services, idOrName)
      if (group === null) throw new Refused(`there is no group ${idOrName}`, 'not_found')
      return group.id
    }),
  )
}

async function withItsLink(services: Services, row: InvitationRow): Promise<z.output<typeof withLink>> {
  return { ...(await describer(services, [row]))(row), link: invitationLink(services, row) }
}

/** Says invitations in JSON; their groups are read at once. */
async function describer(
  services: Services,
  rows: InvitationRow[],
): Promise<(row: InvitationRow) => z.output<typeof invitation>> {
  const groups = await findGroups(services, [...new Set(rows.flatMap(({ groupIds }) => groupIds))])
  const now = services.clock()
  return (row) => ({
    id: row.id,
    email: row.email,
    roles: row.roles,
    groups: groups.filter(({ id }) => row.groupIds.includes(id)).map(({ id, name }) => ({ id, name })),
    invited_by: row.invitedBy,
    state: row.expiresAt > now ? 'open' : 'expired',
    created_at: row.createdAt.toISOString(),
    sent_at: row.sentAt.toISOString(),
    sent_count: row.sentCount,
    expires_at: row.expiresAt.toISOString(),
  })
}
