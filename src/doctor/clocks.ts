import { type Finding, finding } from '../domain/findings.ts'

const MOST_SECONDS = 5

/**
 * Compares the clock of another server with ours. @param said what it said between these two moments of ours
 * @param precision of what it said (seconds)
 */
export function findSkew(whose: string, said: Date, before: Date, after: Date, precision = 0): Finding[] {
  const ms = said.getTime()
  const early = (before.getTime() - ms) / 1000 - precision
  const late = (ms - after.getTime()) / 1000
  const seconds = Math.max(early, late)
  if (seconds <= MOST_SECONDS) return []
  const way = late > early ? 'ahead of' : 'behind'
  return [
    finding(
      'clock_skew',
      `The clock of ${whose} is ${Math.round(seconds)} seconds ${way} that of this machine.`,
      'timedatectl set-ntp true',
    ),
  ]
}
