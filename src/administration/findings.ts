import { z } from 'zod'
import { CHECKUP_KINDS, FINDING_CODES, SEVERITIES } from '../domain/findings.ts'
import { operation } from './operation.ts'

const found = z
  .object({
    code: z.enum(FINDING_CODES),
    severity: z.enum(SEVERITIES),
    sentence: z.string().describe('What is wrong.'),
    change: z.string().describe('The line to change, or the command to run.'),
  })
  .meta({ id: 'Finding' })

export const FINDING_OPERATIONS = {
  listFindings: operation({
    name: 'listFindings',
    summary: 'Find what is wrong with how the portal is set up and run.',
    method: 'get',
    path: '/findings',
    resource: 'settings',
    kind: 'read',
    forSupport: true,
    input: z.strictObject({
      kind: z
        .enum(CHECKUP_KINDS)
        .default('all')
        .describe('`quick`: only what is found out without asking other servers than the database.'),
    }),
    output: z.object({
      findings: z.array(found).describe('Errors and warnings, errors first.'),
      hints: z.array(found).describe('What an operator may want to know; nothing has to change.'),
      checked: z.array(z.string()).describe('What was looked at.'),
    }),
    async act(services, { kind }) {
      return services.examine(kind)
    },
  }),
}
