import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { print } from './output.ts'
import { withPortal } from './portal.ts'

interface RoleOptions {
  json?: boolean
}

/** Adds `app role`, beside the other commands of `app`. */
export function addAppRoleCommands(app: Command): void {
  const role = app.command('role').description('The roles that users can have in one app.')

  withPortal(
    role
      .command('add <client-id> <role>')
      .description('Add a role; `user set-roles <login> --app <client-id>` gives it to users.'),
    async (portal, id: string, name: string, { json }: RoleOptions) => {
      print(await portal.perform(OPERATIONS.addAppRole, { client_id: id, role: name }), json)
    },
  )

  withPortal(
    role
      .command('remove <client-id> <role>')
      .description('Remove a role, and take it from every user who has it there.'),
    async (portal, id: string, name: string, { json }: RoleOptions) => {
      await portal.perform(OPERATIONS.removeAppRole, { client_id: id, role: name })
      print(await portal.perform(OPERATIONS.listAppRoles, { client_id: id }), json)
    },
  )

  withPortal(
    role.command('list <client-id>').description('List the roles of an app.'),
    async (portal, id: string, { json }: RoleOptions) => {
      print(await portal.perform(OPERATIONS.listAppRoles, { client_id: id }), json)
    },
  )
}
