import { createHmac } from 'node:crypto'
import { ipKey } from './ip-keys.ts'
import { keyOf } from './login-keys.ts'
import type { Services } from '../services.ts'

/** One thing that guesses are counted by: so many are free, and after them comes one at a time, each after a longer wait. */
export interface AttemptCounter {
  name: string
  free: number
  /** How long guesses are remembered, from the first one on. */
  seconds: number
}

const HOUR = 3600
const DAY = 86_400
/** How many free guesses an account has, whoever makes them, and an address, at whomever, for each of a pair. */
const PER_ACCOUNT = 4
const PER_ADDRESS = 20

export function pairCounter(services: Services, kind: string, account: string, address: string): AttemptCounter {
  return counterOf(services, ['pair', kind, keyOf(account), ipKey(address)], services.policy.freeGuesses, DAY)
}

export function accountCounter(services: Services, kind: string, account: string): AttemptCounter {
  return counterOf(services, ['account', kind, keyOf(account)], PER_ACCOUNT * services.policy.freeGuesses, DAY)
}

export function deviceCounter(services: Services, kind: string, account: string, device: string): AttemptCounter {
  return counterOf(services, ['device', kind, keyOf(account), device], services.policy.freeGuesses, DAY)
}

/** Failures of every kind. */
export function ipCounter(services: Services, address: string): AttemptCounter {
  return counterOf(services, ['address', ipKey(address)], PER_ADDRESS * services.policy.freeGuesses, HOUR)
}

/** What may be done so often in an hour, whatever comes of it. */
export function hourlyCounter(services: Services, act: string, whose: string, free: number): AttemptCounter {
  return counterOf(services, [act, whose], free, HOUR)
}

/** `passed` are the tallies whose one place a guess took. */
export type Passage = { kind: 'entered'; passed: AttemptCounter[] } | { kind: 'held'; forMs: number }

/**
 * Lets a guess in, or says how long (ms) it has to wait; what has to wait is not counted, so nobody lengthens the wait by
 * asking. `counted` are counted now, in their order and before the guess is looked at, so that guesses at the same moment
 * cannot all be the first; `watched` only hold it back.
 */
export async function enter(
  services: Services,
  counted: AttemptCounter[],
  watched: AttemptCounter[],
): Promise<Passage> {
  const { counters } = services.storage
  const tallies = [...watched, ...counted]
  const before = await Promise.all(tallies.map(({ name }) => counters.read(name)))
  const isFull = (index: number) => (before[index] as number) >= (tallies[index] as AttemptCounter).free

  const full = tallies.filter((_, index) => isFull(index))
  const passage = await pass(services, full)
  if (passage.kind === 'held') return passage

  const { passed } = passage
  for (const [index, each] of counted.entries()) {
    const { points } = await counters.add(each.name, each.seconds)
    // Others were let in since it was read.
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

/** Frees the places a guess took, for the next one. */
export async function release(services: Services, passed: AttemptCounter[]): Promise<void> {
  const { counters } = services.storage
  await Promise.all(passed.flatMap((each) => [counters.reset(gateOf(each)), counters.takeBack(passagesOf(each))]))
}

/** Begins to count anew, without any wait. */
export async function reset(services: Services, tallies: AttemptCounter[]): Promise<void> {
  const { counters } = services.storage
  const names = tallies.flatMap((each) => [each.name, gateOf(each), passagesOf(each)])
  await Promise.all(names.map((name) => counters.reset(name)))
}

/** One caller gets through each gate, which then stays shut, twice as long for each who has passed before. */
async function pass(services: Services, tallies: AttemptCounter[]): Promise<Passage> {
  const { counters } = services.storage
  const { firstGuessDelay, longestGuessDelay } = services.policy
  const passed: AttemptCounter[] = []
  for (const each of tallies) {
    const before = await counters.read(passagesOf(each))
    const gate = await counters.add(gateOf(each), Math.min(longestGuessDelay, firstGuessDelay * 2 ** before))
    if (gate.points > 1) {
      await release(services, passed)
      return { kind: 'held', forMs: gate.endsInMs }
    }
    await counters.add(passagesOf(each), each.seconds)
    passed.push(each)
  }
  return { kind: 'entered', passed }
}

function gateOf({ name }: AttemptCounter): string {
  return `${name}:gate`
}

function passagesOf({ name }: AttemptCounter): string {
  return `${name}:passages`
}

/** No name and no address lies in a store of counters, and none can be guessed from what does. */
function counterOf(services: Services, parts: string[], free: number, seconds: number): AttemptCounter {
  const name = createHmac('sha256', services.secrets[0].counterNames).update(JSON.stringify(parts)).digest('base64url')
  return { name, free, seconds }
}
