import { z } from 'zod'
import { listWarnings, WARNING_CODES } from '../domain/warnings.ts'
import { operation } from './operation.ts'

const warning = z
  .object({
    code: z.enum(WARNING_CODES),
    count: z.number().int().nullable().describe('How many there are, where that can be counted.'),
  })
  .meta({ id: 'Warning' })

export const WARNING_OPERATIONS = {
  listWarnings: operation({
    name: 'listWarnings',
    summary: 'List what an operator should look after.',
    method: 'get',
    path: '/warnings',
    resource: 'statistics',
    kind: 'read',
    forSupport: true,
    input: z.strictObject({}),
    output: z.object({ items: z.array(warning) }),
    async act(services) {
      return { items: await listWarnings(services) }
    },
  }),
}
