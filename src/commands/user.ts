import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { deleteAccount } from '../domain/accounts/deletions.ts'
import { findApp } from '../domain/apps/apps.ts'
import { changeAppRoles } from '../domain/apps/app-roles.ts'
import { setAttribute } from '../domain/identities/attributes.ts'
import { standardClaims } from '../domain/identities/claims.ts'
import { englishTexts } from '../i18n/texts.ts'
import { eraseAccount } from '../domain/accounts/erasure.ts'
import {
  changeRoles,
  disableIdentity,
  enableIdentity,
  findIdentity,
  findIdentityByLogin,
  findIdentityBySubject,
  type IdentityRow,
  register,
  revokeEverything,
} from '../domain/identities/identities.ts'
import { readRoles } from '../domain/identities/roles.ts'
import type { Services } from '../domain/services.ts'
import { resetSecondFactors } from '../domain/sign-in/second-factors.ts'
import { CommandRefused } from './command-refused.ts'
import { addInviteCommand } from './invitation.ts'
import { onPortal, print, printList } from './output.ts'
import { listAll, withPortal } from './portal.ts'

interface UserOptions {
  json?: boolean
  username: string
  email: string
  passwordStdin?: boolean
  role?: string[]
  emailVerified?: boolean
  now?: boolean
  app?: string
  remove?: boolean
}

export function addUserCommands(program: Command): void {
  const user = program.command('user').description('Create and manage identities.')

  onPortal(
    user
      .command('create')
      .description('Create an identity; without --password-stdin a password is made and printed once.')
      .requiredOption('--username <username>', 'user name')
      .requiredOption('--email <email>', 'e-mail address')
      .option('--password-stdin', 'read the password from standard input')
      .option('--role <role...>', 'a role that application tokens carry')
      .option('--email-verified', 'the address is known to be theirs'),
    async (services, options: UserOptions) => {
      const made = options.passwordStdin ? null : randomBytes(18).toString('base64url')
      const password = made ?? (await text(process.stdin)).replace(/\r?\n$/, '')
      const roles = readRoles(options.role ?? [])
      const outcome = await register(services, { username: options.username, email: options.email, password }, null, {
        roles,
        emailVerified: options.emailVerified ?? false,
      })
      if (outcome.kind === 'refused') {
        throw new CommandRefused(
          Object.entries(outcome.problems)
            .map(([name, words]) => `${name}: ${englishTexts().say(words)}`)
            .join('\n'),
        )
      }
      print({ ...describe(outcome.identity), ...(made === null ? {} : { password: made }) }, options.json)
    },
  )

  addInviteCommand(user)

  withPortal(user.command('list').description('List the identities.'), async (portal, { json }: UserOptions) => {
    printList(
      await listAll(portal, OPERATIONS.listIdentities),
      ['username', 'email', 'state', 'roles', 'created_at', 'id'],
      json,
    )
  })

  onPortal(
    user.command('show <login>').description('Show an identity, and the standard claims that apps can have of it.'),
    async (services, login: string, { json }: UserOptions) => {
      const identity = await find(services, login)
      print({ ...describe(identity), claims: standardClaims(identity) }, json)
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
      print(describe(identity), json)
    },
  )

  const onIdentity = (name: string, description: string, act: (services: Services, id: string) => Promise<void>) =>
    onPortal(
      user.command(`${name} <login>`).description(description),
      async (services, login: string, { json }: UserOptions) => {
        const identity = await find(services, login)
        await act(services, identity.id)
        print(describe(await find(services, login)), json)
      },
    )
  onIdentity('disable', 'Refuse an identity and end everything it has.', disableIdentity)
  onIdentity('enable', 'Let a disabled identity sign in again; what ended stays ended.', enableIdentity)
  onPortal(
    user
      .command('delete <login>')
      .description('Delete an identity: sign it out everywhere now, and erase it after the grace period.')
      .option('--now', 'erase it at once'),
    async (services, login: string, { json, now }: UserOptions) => {
      const identity = await find(services, login)
      await deleteAccount(services, identity.id, null, now ? 0 : undefined)
      if (now) await eraseAccount(services, identity.id)
      const left = await findIdentity(services, identity.id)
      print(left === null ? { ...describe(identity), state: 'erased' } : describe(left), json)
    },
  )
  onIdentity(
    'reset-second-factors',
    'Remove every second factor of an identity that has lost them; it is told by mail.',
    resetSecondFactors,
  )
  onPortal(
    user
      .command('set-roles <login> [role...]')
      .description('Set the roles of an identity; its apps get them with their next refresh.')
      .option('--app <client-id>', 'the roles that it has in this app alone, of those in `app role list`'),
    async (services, login: string, roles: string[], { json, app }: UserOptions) => {
      const identity = await find(services, login)
      if (app === undefined) await changeRoles(services, identity.id, readRoles(roles))
      else await changeAppRoles(services, identity.id, app, readRoles(roles))
      print(describe(await find(services, login)), json)
    },
  )
  onPortal(
    user
      .command('set-attribute <login> <name> [value]')
      .description('Set an attribute of an identity, for the claims of apps (`app update --claim`).')
      .option('--remove', 'remove it'),
    async (services, login: string, name: string, value: string | undefined, { json, remove }: UserOptions) => {
      if ((value === undefined) !== (remove === true))
        throw new CommandRefused('an attribute is set to a value, or removed with --remove')
      const identity = await find(services, login)
      const outcome = await setAttribute(services, identity.id, name, value ?? null)
      if (outcome.kind === 'refused') throw new CommandRefused(outcome.problem)
      print(describe(await find(services, login)), json)
    },
  )
  onIdentity('revoke-all', 'End every browser and every family of an identity; it may sign in again.', revokeEverything)
}

async function find(services: Services, login: string): Promise<IdentityRow> {
  const identity = await findIdentityByLogin(services, login)
  if (identity === null) throw new CommandRefused(`there is no identity ${login}`)
  return identity
}

function describe(identity: IdentityRow): Record<string, unknown> {
  return {
    id: identity.id,
    username: identity.username,
    email: identity.email,
    email_verified: identity.emailVerified,
    roles: identity.roles,
    app_roles: identity.appRoles,
    attributes: identity.attributes,
    state: stateOf(identity),
    created_at: identity.createdAt,
    ...(identity.erasedFrom === null ? {} : { erased_from: identity.erasedFrom }),
  }
}

function stateOf({ disabledAt, erasedFrom }: IdentityRow): string {
  if (erasedFrom !== null) return 'deleted'
  return disabledAt === null ? 'enabled' : 'disabled'
}
