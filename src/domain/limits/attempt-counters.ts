import { createHmac } from 'node:crypto'
import { addressKey } from './ip-keys.ts'
import { keyOf } from './login-keys.ts'
import type { Portal } from '../services.ts'

/** One thing that guesses are counted by: so many are free, and after them comes one at a time, each after a longer wait. */
export interface Tally {
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

export function pairTally(portal: Portal, kind: string, account: string, address: string): Tally {
  return tally(portal, ['pair', kind, keyOf(account), addressKey(address)], portal.policy.freeGuesses, DAY)
}

export function accountTally(portal: Portal, kind: string, account: string): Tally {
  return tally(portal, ['account', kind, keyOf(account)], PER_ACCOUNT * portal.policy.freeGuesses, DAY)
}

export function deviceTally(portal: Portal, kind: string, account: string, device: string): Tally {
  return tally(portal, ['device', kind, keyOf(account), device], portal.policy.freeGuesses, DAY)
}

/** Failures of every kind. */
export function addressTally(portal: Portal, address: string): Tally {
  return tally(portal, ['address', addressKey(address)], PER_ADDRESS * portal.policy.freeGuesses, HOUR)
}

/** What may be done so often in an hour, whatever comes of it. */
export function hourlyTally(portal: Portal, act: string, whose: string, free: number): Tally {
  return tally(portal, [act, whose], free, HOUR)
}

/** `passed` are the tallies whose one place a guess took. */
export type Passage = { kind: 'entered'; passed: Tally[] } | { kind: 'held'; forMs: number }

/**
 * Lets a guess in, or says how long (ms) it has to wait; what has to wait is not counted, so nobody lengthens the wait by
 * asking. `counted` are counted now, in their order and before the guess is looked at, so that guesses at the same moment
 * cannot all be the first; `watched` only hold it back.
 */
export async function enter(portal: Portal, counted: Tally[], watched: Tally[]): Promise<Passage> {
  const { counters } = portal.storage
  const tallies = [...watched, ...counted]
  const before = await Promise.all(tallies.map(({ name }) => counters.read(name)))
  const isFull = (index: number) => (before[index] as number) >= (tallies[index] as Tally).free

  const full = tallies.filter((_, index) => isFull(index))
  const passage = await pass(portal, full)
  if (passage.kind === 'held') return passage

  const { passed } = passage
  for (const [index, each] of counted.entries()) {
    const { points } = await counters.add(each.name, each.seconds)
    // Others were let in since it was read.
    const isOvertaken = points > each.free && !full.includes(each)
    const second = isOvertaken ? await pass(portal, [each]) : { kind: 'entered' as const, passed: [] }
    if (second.kind === 'held') {
      const names = counted.slice(0, index + 1).map(({ name }) => name)
      await Promise.all([...names.map((name) => counters.takeBack(name)), release(portal, passed)])
      return second
    }
    passed.push(...second.passed)
  }
  return { kind: 'entered', passed }
}

/** Frees the places a guess took, for the next one. */
export async function release(portal: Portal, passed: Tally[]): Promise<void> {
  const { counters } = portal.storage
  await Promise.all(passed.flatMap((each) => [counters.reset(gateOf(each)), counters.takeBack(passagesOf(each))]))
}

/** Begins to count anew, without any wait. */
export async function reset(portal: Portal, tallies: Tally[]): Promise<void> {
  const { counters } = portal.storage
  const names = tallies.flatMap((each) => [each.name, gateOf(each), passagesOf(each)])
  await Promise.all(names.map((name) => counters.reset(name)))
}

/** One caller gets through each gate, which then stays shut, twice as long for each who has passed before. */
async function pass(portal: Portal, tallies: Tally[]): Promise<Passage> {
  const { counters } = portal.storage
  const { firstGuessDelay, longestGuessDelay } = portal.policy
  const passed: Tally[] = []
  for (const each of tallies) {
    const before = await counters.read(passagesOf(each))
    const gate = await counters.add(gateOf(each), Math.min(longestGuessDelay, firstGuessDelay * 2 ** before))
    if (gate.points > 1) {
      await release(portal, passed)
      return { kind: 'held', forMs: gate.endsInMs }
    }
    await counters.add(passagesOf(each), each.seconds)
    passed.push(each)
  }
  return { kind: 'entered', passed }
}

function gateOf({ name }: Tally): string {
  return `${name}:gate`
}

function passagesOf({ name }: Tally): string {
  return `${name}:passages`
}

/** No name and no address lies in a store of counters, and none can be guessed from what does. */
function tally(portal: Portal, parts: string[], free: number, seconds: number): Tally {
  const name = createHmac('sha256', portal.secrets[0].counterNames).update(JSON.stringify(parts)).digest('base64url')
  return { name, free, seconds }
}
