import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Services } from '../domain/services.ts'
import type { SigningKey } from '../domain/keys/signing-keys.ts'
import { KEYS_EVERY_MS } from '../main/repeat.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print, printList } from './output.ts'

const COLUMNS = ['kid', 'alg', 'state', 'signs_from']

export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('Manage the signing keys.')

  onPortal(
    keys.command('list').description('List the published keys.'),
    async (services, { json }: { json?: boolean }) => {
      printList(
        services.keys.published().map((key) => describe(services, key)),
        COLUMNS,
        json,
      )
    },
  )

  onPortal(
    keys.command('rotate').description('Publish the next keys; they sign once every cache has them.'),
    async (services, { json }: { json?: boolean }) => {
      const next = await services.keys.rotate(services.operator)
      printList(
        next.map((key) => describe(services, key)),
        COLUMNS,
        json,
      )
    },
  )

  onPortal(
    keys
      .command('revoke <kid>')
      .description('Revoke a compromised key: its signatures become invalid, and a new key signs at once.'),
    async (services, kid: string, { json }: { json?: boolean }) => {
      const revocation = await services.keys.revoke(kid, services.operator)
      if (revocation.kind !== 'revoked')
        throw new CommandRefused(revocation.kind === 'unknown' ? `there is no key ${kid}` : `${kid} was revoked before`)
      // From here on, every process that reaches the database has reloaded the keys.
      await sleep(KEYS_EVERY_MS + SLACK_MS)
      print({ kid, state: 'revoked', replaced_by: revocation.replacement, signs_from: revocation.signsFrom }, json)
    },
  )
}

/** How long a process needs at most, after its interval, to reload the keys (ms). */
const SLACK_MS = 500

function describe(services: Services, key: SigningKey): Record<string, unknown> {
  const state =
    services.keys.signer(key.alg) === key ? 'signing' : key.signsFrom > services.clock() ? 'next' : 'retiring'
  return { kid: key.kid, alg: key.alg, state, signs_from: key.signsFrom }
}
