import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { KEYS_EVERY_MS } from '../main/repeat.ts'
import { print, printList } from './output.ts'
import { withPortal } from './portal.ts'

interface Options {
  json?: boolean
  all?: boolean
  signsFrom?: string
}

const COLUMNS = ['kid', 'alg', 'state', 'signs_from', 'tokens_until', 'rotates_at']
/** How long a process needs at most, after its interval, to reload the keys (ms). */
const SLACK_MS = 500

export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('Manage the signing keys.')

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
      // From here on, every process that reaches the database has reloaded the keys.
      await sleep(KEYS_EVERY_MS + SLACK_MS)
      print(revoked, json)
    },
  )
}
