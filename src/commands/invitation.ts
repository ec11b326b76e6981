import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { ADMIN } from '../domain/identities/roles.ts'
import { print, printList } from './output.ts'
import { listAll, withPortal } from './portal.ts'

interface Options {
  json?: boolean
  role?: string[]
  group?: string[]
  search?: string
}

/** `user invite`. */
export function addInviteCommand(user: Command): void {
  withPortal(
    user
      .command('invite <email>')
      .description('Invite an e-mail address to create an account; prints the link that is mailed.')
      .option('--role <role...>', 'a role of the new identity')
      .option('--group <group...>', 'a group of the new identity'),
    async (portal, email: string, { json, role: roles = [], group: groups = [] }: Options) => {
      print(inWords(await portal.perform(OPERATIONS.createInvitation, { email, roles, groups }), json), json)
    },
  )
}

export function addInvitationCommands(program: Command): void {
  const invitation = program.command('invitation').description('Look after invitations; `user invite` makes one.')

  withPortal(
    invitation
      .command('list')
      .description('List the invitations that are not used.')
      .option('--search <prefix>', 'those whose address begins with this'),
    async (portal, { json, search }: Options) => {
      const all = await listAll(portal, OPERATIONS.listInvitations, search === undefined ? {} : { search })
      const columns = ['email', 'state', 'roles', 'groups', 'expires_at', 'sent_count', 'invited_by', 'id']
      printList(
        all.map((each) => inWords(each, json)),
        columns,
        json,
      )
    },
  )

  withPortal(
    invitation
      .command('resend <email-or-id>')
      .description('Send the link of an invitation once more; it can be used for another seven days.'),
    async (portal, id: string, { json }: Options) => {
      print(inWords(await portal.perform(OPERATIONS.resendInvitation, { invitation: id }), json), json)
    },
  )

  withPortal(
    invitation.command('revoke <email-or-id>').description('Take an invitation back; its link works no more.'),
    async (portal, id: string, { json }: Options) => {
      await portal.perform(OPERATIONS.revokeInvitation, { invitation: id })
      print({ invitation: id, state: 'revoked' }, json)
    },
  )
}

/** `admin invite`. */
export function addAdminCommands(program: Command): void {
  const admin = program.command('admin').description('Administrators of the portal.')

  withPortal(
    admin
      .command('invite <email>')
      .description(
        'Invite an e-mail address to create the account of an administrator; prints the link that is mailed.',
      ),
    async (portal, email: string, { json }: Options) => {
      print(inWords(await portal.perform(OPERATIONS.createInvitation, { email, roles: [ADMIN] }), json), json)
    },
  )

  withPortal(
    admin
      .command('first-link')
      .description('Print a link with which the first administrator creates an account; it works until there is one.'),
    async (portal, { json }: Options) => {
      print(await portal.perform(OPERATIONS.createFirstAdministratorLink, {}), json)
    },
  )
}

/** People read the names of groups only. */
function inWords(shown: Record<string, unknown>, json: boolean | undefined): Record<string, unknown> {
  return json ? shown : { ...shown, groups: (shown['groups'] as { name: string }[]).map(({ name }) => name) }
}
