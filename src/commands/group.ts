import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { collect } from './app-options.ts'
import { print, printList } from './output.ts'
import { listAll, withPortal } from './portal.ts'

interface Options {
  json?: boolean
  name?: string
  description?: string
  role?: string[]
}

export function addGroupCommands(program: Command): void {
  const group = program.command('group').description('Manage groups: named sets of identities that carry roles.')

  withPortal(
    withSettings(group.command('create <name>').description('Create a group.')),
    async (portal, name: string, options: Options) => {
      print(await portal.perform(OPERATIONS.createGroup, { name, ...settingsOf(options) }), options.json)
    },
  )

  withPortal(group.command('list').description('List the groups.'), async (portal, { json }: Options) => {
    printList(await listAll(portal, OPERATIONS.listGroups), ['name', 'roles', 'description', 'id'], json)
  })

  withPortal(
    group.command('show <group>').description('Show a group and its members.'),
    async (portal, name: string, { json }: Options) => {
      const shown = await portal.perform(OPERATIONS.showGroup, { group: name })
      const members = await listAll(portal, OPERATIONS.listGroupMembers, { group: name })
      print({ ...shown, members: members.map((each) => each['username']) }, json)
    },
  )

  withPortal(
    withSettings(
      group
        .command('update <group>')
        .description('Change a group; its members get its new roles with their next refresh.')
        .option('--name <name>', 'its new name'),
    ),
    async (portal, id: string, { name, ...options }: Options) => {
      const change = { group: id, ...(name === undefined ? {} : { name }), ...settingsOf(options) }
      print(await portal.perform(OPERATIONS.updateGroup, change), options.json)
    },
  )

  withPortal(
    group
      .command('add <group> <login...>')
      .description('Make identities members: user names, e-mail addresses or ids.'),
    async (portal, id: string, identities: string[], { json }: Options) => {
      print(await portal.perform(OPERATIONS.addGroupMembers, { group: id, identities }), json)
    },
  )

  withPortal(
    group.command('remove <group> <login...>').description('End the membership of identities.'),
    async (portal, id: string, identities: string[], { json }: Options) => {
      for (const identity of identities) await portal.perform(OPERATIONS.removeGroupMember, { group: id, identity })
      print({ removed: identities.length }, json)
    },
  )

  withPortal(
    group.command('delete <group>').description('Delete a group; its members lose its roles.'),
    async (portal, id: string, { json }: Options) => {
      await portal.perform(OPERATIONS.deleteGroup, { group: id })
      print({ group: id, state: 'deleted' }, json)
    },
  )
}

function withSettings(command: Command): Command {
  return command
    .option('--role <role>', 'a role that its members have; may be repeated; "" for none', collect)
    .option('--description <text>', 'what it is for, in one line; "" for nothing')
}

function settingsOf({ role, description }: Options): Record<string, unknown> {
  return {
    ...(role === undefined ? {} : { roles: role.filter((each) => each !== '') }),
    ...(description === undefined ? {} : { description: description === '' ? null : description }),
  }
}
