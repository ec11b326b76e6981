import type { Command } from 'commander'
import type { Portal } from '../domain/portal.ts'
import type { SigningKey } from '../domain/signing-keys.ts'
import { onPortal, printList } from './output.ts'

const COLUMNS = ['kid', 'alg', 'state', 'signs_from']

export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('Look after the keys that sign tokens.')

  onPortal(
    keys.command('list').description('List the published keys.'),
    async (portal, { json }: { json?: boolean }) => {
      printList(
        portal.keys.published().map((key) => describe(portal, key)),
        COLUMNS,
        json,
      )
    },
  )

  onPortal(
    keys.command('rotate').description('Publish the next keys; they sign once every cache must know them.'),
    async (portal, { json }: { json?: boolean }) => {
      const next = await portal.keys.rotate()
      printList(
        next.map((key) => describe(portal, key)),
        COLUMNS,
        json,
      )
    },
  )
}

function describe(portal: Portal, key: SigningKey): Record<string, unknown> {
  const state = portal.keys.signer(key.alg) === key ? 'signing' : key.signsFrom > portal.clock() ? 'next' : 'retiring'
  return { kid: key.kid, alg: key.alg, state, signs_from: key.signsFrom }
}
