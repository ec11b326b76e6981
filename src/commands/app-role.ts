import type { Command } from 'commander'
import { addAppRole, removeAppRoleFromAll } from '../domain/apps/app-roles.ts'
import { findApp } from '../domain/apps/apps.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print } from './output.ts'

interface RoleOptions {
  json?: boolean
}

/** Adds `app role`, beside the other commands of `app`. */
export function addAppRoleCommands(app: Command): void {
  const role = app.command('role').description('The roles that users can have in one app.')

  onPortal(
    role
      .command('add <client-id> <role>')
      .description('Add a role; `user set-roles <login> --app <client-id>` gives it to users.'),
    async (services, clientId: string, name: string, { json }: RoleOptions) => {
      print({ client_id: clientId, roles: await addAppRole(services, clientId, name) }, json)
    },
  )

  onPortal(
    role
      .command('remove <client-id> <role>')
      .description('Remove a role, and take it from every user who has it there.'),
    async (services, clientId: string, name: string, { json }: RoleOptions) => {
      print({ client_id: clientId, roles: await removeAppRoleFromAll(services, clientId, name) }, json)
    },
  )

  onPortal(
    role.command('list <client-id>').description('List the roles of an app.'),
    async (services, clientId: string, { json }: RoleOptions) => {
      const found = await findApp(services, clientId)
      if (found === null) throw new CommandRefused(`there is no app ${clientId}`)
      print({ client_id: clientId, roles: found.roles }, json)
    },
  )
}
