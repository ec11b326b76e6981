import type { Command } from 'commander'
import { addressKey, isAddress } from '../domain/limits/ip-keys.ts'
import type { Portal } from '../domain/services.ts'
import { liftSuspension, listSuspensions } from '../domain/limits/ip-blocks.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print, printList } from './output.ts'

interface Options {
  json?: boolean
}

export function addSuspensionCommands(program: Command): void {
  const suspension = program.command('suspension').description('Look after addresses that guessed too often.')

  onPortal(
    suspension.command('list').description('List the addresses that may not sign in for now.'),
    async (portal: Portal, { json }: Options) => {
      printList(
        (await listSuspensions(portal)).map((each) => ({ ...each })),
        ['address', 'since', 'until', 'failures'],
        json,
      )
    },
  )

  onPortal(
    suspension
      .command('lift <address>')
      .description('Let an address sign in again at once; an IPv6 address stands for its /64.'),
    async (portal: Portal, address: string, { json }: Options) => {
      if (!isAddress(address)) throw new CommandRefused(`${address} is not an IP address`)
      if (!(await liftSuspension(portal, address))) throw new CommandRefused(`${addressKey(address)} is not suspended`)
      print({ address: addressKey(address), state: 'lifted' }, json)
    },
  )
}
