import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { CommandRefused } from './command-refused.ts'
import { note, print, printList } from './output.ts'
import { type Portal, withPortal } from './portal.ts'

interface Options {
  json?: boolean
  all?: boolean
  signsFrom?: string
}

const COLUMNS = ['kid', 'alg', 'state', 'signs_from', 'tokens_until', 'rotates_at']

export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('Manage the signing keys, and what the root secret encrypts.')

  withPortal(
    keys
      .command('list')
      .description('List the published keys.')
      .option('--all', 'also those whose tokens have expired, and revoked ones'),
    async (portal, { all, json }: Options) => {
      const { items } = await portal.perform(OPERATIONS.listSigningKeys, {})
      const shown = items.filter(({ state }) => all || (state !== 'retired' && state !== 'revoked'))
      printList(shown, COLUMNS, json)
    },
  )

  withPortal(
    keys
      .command('rotate')
      .description('Publish the next keys; they sign once every cache has them.')
      .option('--signs-from <time>', 'they sign from this time on (ISO 8601), at most a year from now'),
    async (portal, { signsFrom, json }: Options) => {
      const later = signsFrom === undefined ? {} : { signs_from: signsFrom }
      printList((await portal.perform(OPERATIONS.rotateSigningKeys, later)).items, COLUMNS, json)
    },
  )

  withPortal(
    keys
      .command('revoke <kid>')
      .description('Revoke a compromised key: its signatures become invalid, and a new key signs at once.'),
    async (portal, kid: string, { json }: Options) => {
      const revoked = await portal.perform(OPERATIONS.revokeSigningKey, { kid })
      const { unconfirmed_processes: count } = revoked
      if (count > 0) note(`${count} ${count === 1 ? 'process has' : 'processes have'} not confirmed it yet`)
      print(revoked, json)
    },
  )

  withPortal(
    keys.command('secrets').description('List the root secrets that there were, by a tag of each.'),
    async (portal, { json }: Options) => {
      printList((await portal.perform(OPERATIONS.listRootSecrets, {})).items, SECRET_COLUMNS, json)
    },
  )

  withPortal(
    keys
      .command('rewrap')
      .description(
        'Encrypt under the first root secret what is stored under an older one, and say whether that can be taken away.',
      )
      .option('--forget', 'give up the root secrets that are not set any more: what was made under them ends'),
    async (portal, { forget, json }: Options & { forget?: boolean }) => (forget ? forgetSecrets : rewrap)(portal, json),
  )
}

const SECRET_COLUMNS = ['id', 'state', 'first_signed_at', 'last_signed_at', 'rewrapped_at', 'processes']
const LEFT_COLUMNS = ['secret', 'what', 'count', 'until', 'kept']

async function rewrap(portal: Portal, json: boolean | undefined): Promise<void> {
  const done = await portal.perform(OPERATIONS.rewrapRootSecrets, {})
  if (json) print(done, json)
  else {
    print({ ...done.rewrapped, unreadable_totp_keys: done.unreadable_totp_keys, can_remove: done.can_remove }, json)
    if (done.left.length > 0) printList(done.left, LEFT_COLUMNS, json)
  }
  if (!done.can_remove)
    throw new CommandRefused(
      `the older secrets must stay: ${done.processes_on_older} running process${done.processes_on_older === 1 ? ' has' : 'es have'} one of them first`,
    )
}

async function forgetSecrets(portal: Portal, json: boolean | undefined): Promise<void> {
  const done = await portal.perform(OPERATIONS.forgetRootSecrets, {})
  if (json) print(done, json)
  else {
    print({ forgotten: done.forgotten }, json)
    if (done.lost.length > 0) printList(done.lost, LEFT_COLUMNS, json)
  }
}
