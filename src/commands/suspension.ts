import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { ipKey } from '../domain/limits/ip-keys.ts'
import { print, printList } from './output.ts'
import { listAll, withPortal } from './portal.ts'

interface Options {
  json?: boolean
}

export function addSuspensionCommands(program: Command): void {
  const suspension = program
    .command('ip-block')
    .alias('suspension')
    .description('Manage temporary IP blocks after too many failed sign-ins (brute force).')

  withPortal(
    suspension.command('list').description('List the IP addresses that are blocked now.'),
    async (portal, { json }: Options) => {
      printList(await listAll(portal, OPERATIONS.listIpBlocks), ['address', 'since', 'until', 'failures'], json)
    },
  )

  withPortal(
    suspension
      .command('lift <address>')
      .description('Lift the block of an IP address; an IPv6 address stands for its /64.'),
    async (portal, address: string, { json }: Options) => {
      await portal.perform(OPERATIONS.liftIpBlock, { address })
      print({ address: ipKey(address), state: 'lifted' }, json)
    },
  )
}
