import { z } from 'zod'
import { liftIpBlock, listIpBlocks } from '../domain/limits/ip-blocks.ts'
import { ipKey, isIpAddress } from '../domain/limits/ip-keys.ts'
import { Refused } from '../domain/refused.ts'
import { operation } from './operation.ts'
import { keyIn, listOf, PAGE, pageOf } from './pages-of-lists.ts'

const ipBlock = z
  .object({
    address: z.string().describe('An IPv4 address, or the /64 of an IPv6 address.'),
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    failures: z.number().int().describe('How many failures led to it.'),
  })
  .meta({ id: 'IpBlock' })

export const IP_BLOCK_OPERATIONS = {
  listIpBlocks: operation({
    name: 'listIpBlocks',
    summary: 'List the IP addresses that are blocked now, by address.',
    method: 'get',
    path: '/ip-blocks',
    resource: 'ip-blocks',
    kind: 'read',
    forSupport: true,
    input: z.strictObject({
      search: z.string().max(100).optional().describe('The beginning of the address.'),
      ...PAGE,
    }),
    output: listOf(ipBlock),
    async act(services, { search, limit, cursor }) {
      const after = keyIn(cursor, 1)?.[0] ?? null
      const rows = await listIpBlocks(services, { prefix: search ?? '', after, limit: limit + 1 })
      const shape = ({ address, since, until, failures }: (typeof rows)[number]) => ({
        address,
        since: since.toISOString(),
        until: until.toISOString(),
        failures,
      })
      return pageOf(rows, limit, shape, ({ address }) => [address])
    },
  }),

  liftIpBlock: operation({
    name: 'liftIpBlock',
    summary: 'Lift the block of an IP address at once; an IPv6 address stands for its /64.',
    method: 'delete',
    path: '/ip-blocks/{address}',
    resource: 'ip-blocks',
    kind: 'write',
    forSupport: false,
    input: z.strictObject({ address: z.string().min(1).max(100) }),
    output: null,
    async act(services, { address }) {
      if (!isIpAddress(address)) throw new Refused(`${address} is not an IP address`)
      if (!(await liftIpBlock(services, address))) throw new Refused(`${ipKey(address)} is not blocked`, 'not_found')
      return null
    },
  }),
}
