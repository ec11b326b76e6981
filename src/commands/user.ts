import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { type AnyOperation, perform } from '../administration/operation.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { PROFILE_FIELDS } from '../domain/identities/profiles.ts'
import { findApp } from '../domain/apps/apps.ts'
import { findIdentityBySubject } from '../domain/identities/identities.ts'
import { CommandRefused } from './command-refused.ts'
import { limit as upTo } from './limits.ts'
import { addInviteCommand } from './invitation.ts'
import { addExportCommand } from './user-export.ts'
import { addImportCommand } from './user-import.ts'
import { onPortal, pick, print, printList } from './output.ts'
import { listAll, type Portal, withPortal } from './portal.ts'

interface UserOptions {
  json?: boolean
  username?: string
  email?: string
  passwordStdin?: boolean
  role?: string[]
  emailVerified?: true
  now?: boolean
  app?: string
  remove?: boolean
  limit: number
}

const COLUMNS = ['username', 'email', 'state', 'roles', 'created_at', 'id']

export function addUserCommands(program: Command): void {
  const user = program.command('user').description('Create and manage identities.')

  withPortal(
    user
      .command('create')
      .description('Create an identity; without --password-stdin a password is made and printed once.')
      .requiredOption('--username <username>', 'user name')
      .requiredOption('--email <email>', 'e-mail address')
      .option('--password-stdin', 'read the password from standard input')
      .option('--role <role...>', 'a role that application tokens carry')
      .option('--email-verified', 'the address is known to be theirs'),
    async (portal, { username, email, emailVerified, role: roles = [], ...options }: UserOptions) => {
      const made = options.passwordStdin ? null : randomBytes(18).toString('base64url')
      const password = made ?? (await text(process.stdin)).replace(/\r?\n$/, '')
      const given = { username, email, email_verified: emailVerified ?? false, password, roles }
      const created = await portal.perform(OPERATIONS.createIdentity, given)
      print({ ...describe(created), ...(made === null ? {} : { password: made }) }, options.json)
    },
  )

  addInviteCommand(user)
  addImportCommand(user)
  addExportCommand(user)

  withPortal(user.command('list').description('List the identities.'), async (portal, { json }: UserOptions) => {
    printList(await listAll(portal, OPERATIONS.listIdentities), COLUMNS, json)
  })

  withPortal(
    user
      .command('find <text>')
      .description('Find identities by the beginning of a user name, e-mail address, name or family name.')
      .option('--limit <count>', 'at most so many', upTo, 50),
    async (portal, search: string, { json, limit }: UserOptions) => {
      printList(await listAll(portal, OPERATIONS.listIdentities, { search }, limit), COLUMNS, json)
    },
  )

  withPortal(
    user.command('show <login>').description('Show an identity, and the standard claims that apps can have of it.'),
    async (portal, login: string, { json }: UserOptions) => {
      const shown = await portal.perform(OPERATIONS.showIdentity, { identity: login })
      print({ ...describe(shown), claims: shown.claims }, json)
    },
  )

  withPortal(
    withProfile(
      user
        .command('update <login>')
        .description(
          'Correct an identity; what no option names stays. The user is told of a new e-mail address at both.',
        )
        .option('--username <username>', 'its new user name')
        .option('--email <email>', 'its new e-mail address')
        .option('--email-verified', 'the address is known to be theirs'),
    ),
    async (portal, login: string, { json, username, email, emailVerified, ...options }: UserOptions) => {
      const profile = profileOf(options as unknown as Record<string, string>)
      const change = { username, email, email_verified: emailVerified, ...(profile === null ? {} : { profile }) }
      if (Object.values(change).every((value) => value === undefined))
        throw new CommandRefused('name what is to change')
      print(describe(await portal.perform(OPERATIONS.updateIdentity, { identity: login, ...change })), json)
    },
  )

  onPortal(
    user
      .command('find-subject <client-id> <sub>')
      .description('Show the identity that an app knows by this sub, also by a pairwise one.'),
    async (services, clientId: string, sub: string, { json }: UserOptions) => {
      const app = await findApp(services, clientId)
      if (app === null) throw new CommandRefused(`there is no app ${clientId}`)
      const identity = await findIdentityBySubject(services, app, sub)
      if (identity === null) throw new CommandRefused(`${clientId} knows no identity by the sub ${sub}`)
      print(
        describe(await perform(services, { kind: 'command' }, OPERATIONS.showIdentity, { identity: identity.id })),
        json,
      )
    },
  )

  const onIdentity = (name: string, description: string, asked: AnyOperation) =>
    withPortal(
      user.command(`${name} <login>`).description(description),
      async (portal, login: string, { json }: UserOptions) => {
        await portal.perform(asked, { identity: login })
        await show(portal, login, json)
      },
    )
  onIdentity('disable', 'Refuse an identity and end everything it has.', OPERATIONS.disableIdentity)
  onIdentity('enable', 'Let a disabled identity sign in again; what ended stays ended.', OPERATIONS.enableIdentity)
  withPortal(
    user
      .command('delete <login>')
      .description('Delete an identity: sign it out everywhere now, and erase it after the grace period.')
      .option('--now', 'erase it at once'),
    async (portal, login: string, { json, now = false }: UserOptions) => {
      const before = await portal.perform(OPERATIONS.showIdentity, { identity: login })
      const { id: identity } = before
      const { erased_from: erasedFrom } = await portal.perform(OPERATIONS.deleteIdentity, { identity, now })
      if (erasedFrom === null) print({ ...describe(before), state: 'erased' }, json)
      else await show(portal, identity, json)
    },
  )
  onIdentity(
    'reset-second-factors',
    'Remove every second factor of an identity that has lost them; it is told by mail.',
    OPERATIONS.resetSecondFactors,
  )
  withPortal(
    user
      .command('set-roles <login> [role...]')
      .description('Set the roles of an identity; its apps get them with their next refresh.')
      .option('--app <client-id>', 'the roles that it has in this app alone, of those in `app role list`'),
    async (portal, identity: string, roles: string[], { json, app }: UserOptions) => {
      const changed =
        app === undefined
          ? await portal.perform(OPERATIONS.setIdentityRoles, { identity, roles })
          : await portal.perform(OPERATIONS.setIdentityAppRoles, { identity, client_id: app, roles })
      print(describe(changed), json)
    },
  )
  withPortal(
    user
      .command('set-attribute <login> <name> [value]')
      .description('Set an attribute of an identity, for the claims of apps (`app update --claim`).')
      .option('--remove', 'remove it'),
    async (portal, identity: string, attribute: string, value: string | undefined, options: UserOptions) => {
      if ((value === undefined) !== (options.remove === true))
        throw new CommandRefused('an attribute is set to a value, or removed with --remove')
      if (value === undefined) await portal.perform(OPERATIONS.removeIdentityAttribute, { identity, attribute })
      else await portal.perform(OPERATIONS.setIdentityAttribute, { identity, attribute, value })
      await show(portal, identity, options.json)
    },
  )
  onIdentity(
    'revoke-all',
    'End every browser and every family of an identity; it may sign in again.',
    OPERATIONS.revokeEverything,
  )
}

function withProfile(command: Command): Command {
  for (const field of PROFILE_FIELDS) {
    const option = field.replaceAll('_', '-')
    command.option(`--${option} <text>`, `its ${field.replaceAll('_', ' ')}; "" for none`)
  }
  return command
}

/** Null where no option names a field. */
function profileOf(options: Record<string, string>): Record<string, string> | null {
  const given = PROFILE_FIELDS.flatMap((field) => {
    const value = options[field.replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase())]
    return value === undefined ? [] : [[field, value] as const]
  })
  return given.length === 0 ? null : Object.fromEntries(given)
}

async function show(portal: Portal, login: string, json: boolean | undefined): Promise<void> {
  print(describe(await portal.perform(OPERATIONS.showIdentity, { identity: login })), json)
}

function describe(identity: Record<string, unknown>): Record<string, unknown> {
  const { erased_from: erasedFrom } = identity
  return { ...pick(identity, SHOWN), ...(erasedFrom === null ? {} : { erased_from: erasedFrom }) }
}

const SHOWN = ['id', 'username', 'email', 'email_verified', 'roles', 'app_roles', 'attributes', 'state', 'created_at']
