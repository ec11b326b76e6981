import type { Command } from 'commander'
import { ipKey, isIpAddress } from '../domain/limits/ip-keys.ts'
import type { Services } from '../domain/services.ts'
import { liftIpBlock, listIpBlocks } from '../domain/limits/ip-blocks.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print, printList } from './output.ts'

interface Options {
  json?: boolean
}

export function addSuspensionCommands(program: Command): void {
  const suspension = program
    .command('ip-block')
    .alias('suspension')
    .description('Manage temporary IP blocks after too many failed sign-ins (brute force).')

  onPortal(
    suspension.command('list').description('List the IP addresses that are blocked now.'),
    async (services: Services, { json }: Options) => {
      printList(
        (await listIpBlocks(services)).map((each) => ({ ...each })),
        ['address', 'since', 'until', 'failures'],
        json,
      )
    },
  )

  onPortal(
    suspension
      .command('lift <address>')
      .description('Lift the block of an IP address; an IPv6 address stands for its /64.'),
    async (services: Services, address: string, { json }: Options) => {
      if (!isIpAddress(address)) throw new CommandRefused(`${address} is not an IP address`)
      if (!(await liftIpBlock(services, address))) throw new CommandRefused(`${ipKey(address)} is not blocked`)
      print({ address: ipKey(address), state: 'lifted' }, json)
    },
  )
}
