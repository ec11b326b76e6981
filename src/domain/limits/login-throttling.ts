import type { Portal } from '../services.ts'
import { findSuspension, suspend, type Suspension } from './ip-blocks.ts'
import {
  accountTally,
  addressTally,
  deviceTally,
  enter,
  hourlyTally,
  pairTally,
  type Passage,
  release,
  reset,
  type Tally,
} from './attempt-counters.ts'
import { keyOf } from './login-keys.ts'
import { addressKey } from './ip-keys.ts'

/** Asking for the password again, and for the one that is to be changed, counts as `sign-in`. */
export type GuessKind = 'sign-in' | 'passkey' | 'second-factor' | 'client'

export interface Guess {
  kind: GuessKind
  /** The user name or address as it was typed; the client id of an app; the id of the identity. */
  account: string
  address: string
  /** A device that has signed in to this very account before; null for every other. */
  knownDevice: string | null
}

/** Not now. */
export interface Wait {
  kind: 'wait'
  retryAt: Date
  /** True when the whole address has to wait. */
  suspended: boolean
}

/** A guess that may be looked at, once. It is counted already; what comes of it must be said. */
export interface OpenGuess {
  kind: 'go'
  /** Forgets the failures of this account, and of nobody else. */
  succeeded(): Promise<void>
  /** @returns the suspension that this very failure caused */
  failed(): Promise<Suspension | null>
  /** It was not looked at after all. */
  withdraw(): Promise<void>
}

/** Recoveries that may be asked for from one address, and mails that one person may be sent for it, in an hour. */
const RECOVERIES_PER_HOUR = 20
const MAILS_PER_HOUR = 3
/** New passwords that may be tried for one identity, and new addresses that may be mailed for it, in an hour. */
const NEW_PASSWORDS_PER_HOUR = 30
const ADDRESS_CHANGES_PER_HOUR = 10

/**
 * Asks whether a secret that somebody presents may be looked at. Whoever else guesses at the account, and from whichever
 * address: a device that the person has signed in from before is held back by its own failures alone, so nobody can lock
 * them out. An app, or a passkey, is never held back by what others send in its name from elsewhere, for the same reason.
 */
export async function beginGuess(portal: Portal, guess: Guess): Promise<OpenGuess | Wait> {
  const { kind, account, address, knownDevice } = guess
  if (knownDevice !== null) {
    const counted = [deviceTally(portal, kind, account, knownDevice)]
    return open(portal, await enter(portal, counted, []), counted, async () => null)
  }

  const suspension = await findSuspension(portal, address)
  if (suspension !== null) return { kind: 'wait', retryAt: suspension.until, suspended: true }
  const counted = [
    pairTally(portal, kind, account, address),
    ...(kind === 'client' || kind === 'passkey' ? [] : [accountTally(portal, kind, account)]),
  ]
  const entry = await enter(portal, counted, [addressTally(portal, address)])
  return open(portal, entry, counted, () => noteFailure(portal, address))
}

/** Asks whether an account may be made from this address; it counts whatever comes of it. */
export async function admitRegistration(portal: Portal, address: string): Promise<{ kind: 'go' } | Wait> {
  return admit(portal, 'registration', address, portal.policy.registrationsPerHour)
}

/** Asks whether one more new password may be tried for an identity; it counts whatever comes of it. */
export async function admitNewPassword(portal: Portal, identityId: string): Promise<{ kind: 'go' } | Wait> {
  return count(portal, 'new-password', identityId, NEW_PASSWORDS_PER_HOUR)
}

/** Asks whether one more new address may be mailed for an identity; it counts whatever comes of it. */
export async function admitAddressChange(portal: Portal, identityId: string): Promise<{ kind: 'go' } | Wait> {
  return count(portal, 'address-change', identityId, ADDRESS_CHANGES_PER_HOUR)
}

/** Asks whether a forgotten password may be reported from this address; it counts whatever comes of it. */
export async function admitRecovery(portal: Portal, address: string): Promise<{ kind: 'go' } | Wait> {
  return admit(portal, 'recovery', address, RECOVERIES_PER_HOUR)
}

/** Whether one more mail may go to somebody that anybody can have sent to them. What a page answers must not depend on it. */
export async function mayMail(portal: Portal, email: string): Promise<boolean> {
  const { name, free, seconds } = hourlyTally(portal, 'mail', keyOf(email), MAILS_PER_HOUR)
  return (await portal.storage.counters.add(name, seconds)).points <= free
}

function open(
  portal: Portal,
  entry: Passage,
  counted: Tally[],
  failed: () => Promise<Suspension | null>,
): OpenGuess | Wait {
  if (entry.kind === 'held') return { kind: 'wait', retryAt: inMs(portal, entry.forMs), suspended: false }
  const { counters } = portal.storage
  return {
    kind: 'go',
    failed,
    async succeeded() {
      const others = entry.passed.filter((each) => !counted.includes(each))
      await Promise.all([reset(portal, counted), release(portal, others)])
    },
    async withdraw() {
      await Promise.all([...counted.map(({ name }) => counters.takeBack(name)), release(portal, entry.passed)])
    },
  }
}

async function noteFailure(portal: Portal, address: string): Promise<Suspension | null> {
  const { name, seconds } = addressTally(portal, address)
  const { points } = await portal.storage.counters.add(name, seconds)
  const { suspensionAfter } = portal.policy
  return suspensionAfter > 0 && points >= suspensionAfter ? suspend(portal, address, points) : null
}

async function admit(portal: Portal, act: string, address: string, perHour: number): Promise<{ kind: 'go' } | Wait> {
  const suspension = await findSuspension(portal, address)
  if (suspension !== null) return { kind: 'wait', retryAt: suspension.until, suspended: true }
  return count(portal, act, addressKey(address), perHour)
}

async function count(portal: Portal, act: string, whose: string, perHour: number): Promise<{ kind: 'go' } | Wait> {
  const { name, free, seconds } = hourlyTally(portal, act, whose, perHour)
  const { points, endsInMs } = await portal.storage.counters.add(name, seconds)
  return points <= free ? { kind: 'go' } : { kind: 'wait', retryAt: inMs(portal, endsInMs), suspended: false }
}

function inMs(portal: Portal, ms: number): Date {
  return new Date(portal.clock().getTime() + ms)
}
