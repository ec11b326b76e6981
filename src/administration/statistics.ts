import { z } from 'zod'
import { readStatistics, STATISTICS_KINDS, STATISTICS_RANGES } from '../domain/statistics.ts'
import { operation } from './operation.ts'

const ranges = Object.keys(STATISTICS_RANGES) as [keyof typeof STATISTICS_RANGES, ...(keyof typeof STATISTICS_RANGES)[]]

const statistics = z
  .object({
    times: z.array(z.iso.datetime()).describe('When each time begins that was counted; the last one is not over.'),
    seconds: z.number().int().describe('How long each time is.'),
    series: z.array(
      z.object({
        kind: z.enum(STATISTICS_KINDS),
        client_id: z
          .string()
          .nullable()
          .describe('The app; null for what belongs to none, and for the sum of all apps.'),
        app_name: z.string().nullable().describe('The name that the app has now.'),
        counts: z.array(z.number().nullable()).describe('A number for each time; null where it was not read.'),
      }),
    ),
  })
  .meta({ id: 'Statistics' })

export const STATISTICS_OPERATIONS = {
  showStatistics: operation({
    name: 'showStatistics',
    summary: 'Show how often something happened in the last hour, day or month.',
    method: 'get',
    path: '/statistics',
    resource: 'statistics',
    kind: 'read',
    forSupport: true,
    input: z.strictObject({
      range: z.enum(ranges).default('day'),
      client_id: z.string().min(1).max(300).optional().describe('Of this app alone.'),
    }),
    output: statistics,
    async act(services, { range, client_id: clientId = null }) {
      const { times, seconds, series } = await readStatistics(services, range, clientId)
      return {
        times: times.map((time) => time.toISOString()),
        seconds,
        series: series.map(({ kind, clientId: app, appName, counts }) => ({
          kind,
          client_id: app,
          app_name: appName,
          counts,
        })),
      }
    },
  }),
}
