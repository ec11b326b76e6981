import { type Finding, finding } from '../domain/findings.ts'
import { addSeconds } from '../domain/time.ts'
import { sumTallies } from '../storage/tallies.ts'
import type { Patient } from './patient.ts'

const DAY = 86_400

/** Whether a process that serves has ignored an X-Forwarded-For in the last day, and still would. */
export async function examineProxyUse({ config: { trustProxy }, storage, clock }: Patient): Promise<Finding[]> {
  if (trustProxy !== false && trustProxy !== 0) return []
  const seen = await sumTallies(storage.pool, 'forwarded_for_ignored', addSeconds(clock(), -DAY))
  if (seen === 0) return []
  return [
    finding(
      'trust_proxy_off',
      'Requests have come with X-Forwarded-For, and TRUST_PROXY is off: if they came through a proxy, all clients count as one IP address.',
      'TRUST_PROXY=1',
    ),
  ]
}
