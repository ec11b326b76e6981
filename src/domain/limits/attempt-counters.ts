import { createHmac } from 'node:crypto'
import { ipKey } from './ip-keys.ts'
import { loginKeyOf } from './login-keys.ts'
import type { Services } from '../services.ts'

/**
 * One counter of attempts against brute force. `free` attempts pass without delay. After them one passes at a time, and each
 * waits twice as long as the one before.
 */
export interface AttemptCounter {
  name: string
  free: number
  /** How long attempts are counted (seconds), from the first one on. */
  seconds: number
}

const HOUR = 3600
const DAY = 86_400
/** An account, and an IP address, allow a multiple of the free attempts that a pair of the two allows. */
const PER_ACCOUNT = 4
const PER_IP = 20

export function pairCounter(services: Services, kind: string, account: string, ipAddress: string): AttemptCounter {
  return counterOf(
    services,
    ['pair', kind, loginKeyOf(account), ipKey(ipAddress)],
    services.policy.loginAttemptsBeforeDelay,
    DAY,
  )
}

export function accountCounter(services: Services, kind: string, account: string): AttemptCounter {
  return counterOf(
    services,
    ['account', kind, loginKeyOf(account)],
    PER_ACCOUNT * services.policy.loginAttemptsBeforeDelay,
    DAY,
  )
}

export function deviceCounter(services: Services, kind: string, account: string, device: string): AttemptCounter {
  return counterOf(
    services,
    ['device', kind, loginKeyOf(account), device],
    services.policy.loginAttemptsBeforeDelay,
    DAY,
  )
}

/** Counts the failures of one IP address (IPv6: its /64), of every kind and at every account. */
export function ipCounter(services: Services, ipAddress: string): AttemptCounter {
  return counterOf(services, ['address', ipKey(ipAddress)], PER_IP * services.policy.loginAttemptsBeforeDelay, HOUR)
}

/** A plain rate limit: how often something may be done in an hour, whether it succeeds or not. */
export function hourlyCounter(services: Services, act: string, whose: string, free: number): AttemptCounter {
  return counterOf(services, [act, whose], free, HOUR)
}

/** `passed` are the full counters whose next delay this attempt has started. */
export type Admission = { kind: 'entered'; passed: AttemptCounter[] } | { kind: 'held'; forMs: number }

/**
 * Admits an attempt, or says how long (ms) it has to wait. An attempt that has to wait is not counted, so asking again does not
 * lengthen the delay. The counters in `counted` are increased now, in their order and before the secret is checked, so that
 * attempts at the same moment cannot all be the first. Those in `watched` only delay it.
 */
export async function admitAttempt(
  services: Services,
  counted: AttemptCounter[],
  watched: AttemptCounter[],
): Promise<Admission> {
  const { counters } = services.storage
  const all = [...watched, ...counted]
  const before = await Promise.all(all.map(({ name }) => counters.read(name)))
  const isFull = (index: number) => (before[index] as number) >= (all[index] as AttemptCounter).free

  const full = all.filter((_, index) => isFull(index))
  const admission = await pass(services, full)
  if (admission.kind === 'held') return admission

  const { passed } = admission
  for (const [index, each] of counted.entries()) {
    const { points } = await counters.add(each.name, each.seconds)
    // Other attempts were admitted since it was read.
    const isOvertaken = points > each.free && !full.includes(each)
    const second = isOvertaken ? await pass(services, [each]) : { kind: 'entered' as const, passed: [] }
    if (second.kind === 'held') {
      const names = counted.slice(0, index + 1).map(({ name }) => name)
      await Promise.all([...names.map((name) => counters.takeBack(name)), release(services, passed)])
      return second
    }
    passed.push(...second.passed)
  }
  return { kind: 'entered', passed }
}

/** Ends the delays that an attempt has started, so that the next attempt need not wait for them. */
export async function release(services: Services, passed: AttemptCounter[]): Promise<void> {
  const { counters } = services.storage
  await Promise.all(
    passed.flatMap((each) => [counters.reset(delayName(each)), counters.takeBack(delayCountName(each))]),
  )
}

/** Sets counters to zero and ends their delays. */
export async function reset(services: Services, attemptCounters: AttemptCounter[]): Promise<void> {
  const { counters } = services.storage
  const names = attemptCounters.flatMap((each) => [each.name, delayName(each), delayCountName(each)])
  await Promise.all(names.map((name) => counters.reset(name)))
}

/** Admits one caller for each full counter and starts its next delay, twice as long as the one before. */
async function pass(services: Services, full: AttemptCounter[]): Promise<Admission> {
  const { counters } = services.storage
  const { loginDelayMin, loginDelayMax } = services.policy
  const passed: AttemptCounter[] = []
  for (const each of full) {
    const before = await counters.read(delayCountName(each))
    const delay = await counters.add(delayName(each), Math.min(loginDelayMax, loginDelayMin * 2 ** before))
    if (delay.points > 1) {
      await release(services, passed)
      return { kind: 'held', forMs: delay.endsInMs }
    }
    await counters.add(delayCountName(each), each.seconds)
    passed.push(each)
  }
  return { kind: 'entered', passed }
}

function delayName({ name }: AttemptCounter): string {
  return `${name}:gate`
}

function delayCountName({ name }: AttemptCounter): string {
  return `${name}:passages`
}

/** The name is an HMAC: the store of counters holds no user name and no IP address, and none can be computed from it. */
function counterOf(services: Services, parts: string[], free: number, seconds: number): AttemptCounter {
  const name = createHmac('sha256', services.secrets[0].counterNames).update(JSON.stringify(parts)).digest('base64url')
  return { name, free, seconds }
}
