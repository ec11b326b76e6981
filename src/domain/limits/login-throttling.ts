import type { Services } from '../services.ts'
import { findIpBlock, blockIp, type IpBlock } from './ip-blocks.ts'
import {
  accountCounter,
  ipCounter,
  deviceCounter,
  enter,
  hourlyCounter,
  pairCounter,
  type Passage,
  release,
  reset,
  type AttemptCounter,
} from './attempt-counters.ts'
import { keyOf } from './login-keys.ts'
import { ipKey } from './ip-keys.ts'

/** Asking for the password again, and for the one that is to be changed, counts as `sign-in`. */
export type AttemptKind = 'sign-in' | 'passkey' | 'second-factor' | 'client'

export interface ThrottledAttempt {
  kind: AttemptKind
  /** The user name or address as it was typed; the client id of an app; the id of the identity. */
  account: string
  ipAddress: string
  /** A device that has signed in to this very account before; null for every other. */
  knownDevice: string | null
}

/** Not now. */
export interface Wait {
  kind: 'wait'
  retryAt: Date
  /** True when the whole address has to wait. */
  ipBlocked: boolean
}

/** A guess that may be looked at, once. It is counted already; what comes of it must be said. */
export interface AdmittedAttempt {
  kind: 'go'
  /** Forgets the failures of this account, and of nobody else. */
  succeeded(): Promise<void>
  /** @returns the suspension that this very failure caused */
  failed(): Promise<IpBlock | null>
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
export async function beginAttempt(services: Services, guess: ThrottledAttempt): Promise<AdmittedAttempt | Wait> {
  const { kind, account, ipAddress: address, knownDevice } = guess
  if (knownDevice !== null) {
    const counted = [deviceCounter(services, kind, account, knownDevice)]
    return open(services, await enter(services, counted, []), counted, async () => null)
  }

  const suspension = await findIpBlock(services, address)
  if (suspension !== null) return { kind: 'wait', retryAt: suspension.until, ipBlocked: true }
  const counted = [
    pairCounter(services, kind, account, address),
    ...(kind === 'client' || kind === 'passkey' ? [] : [accountCounter(services, kind, account)]),
  ]
  const entry = await enter(services, counted, [ipCounter(services, address)])
  return open(services, entry, counted, () => noteFailure(services, address))
}

/** Asks whether an account may be made from this address; it counts whatever comes of it. */
export async function admitRegistration(services: Services, address: string): Promise<{ kind: 'go' } | Wait> {
  return admit(services, 'registration', address, services.policy.registrationsPerHour)
}

/** Asks whether one more new password may be tried for an identity; it counts whatever comes of it. */
export async function admitNewPassword(services: Services, identityId: string): Promise<{ kind: 'go' } | Wait> {
  return count(services, 'new-password', identityId, NEW_PASSWORDS_PER_HOUR)
}

/** Asks whether one more new address may be mailed for an identity; it counts whatever comes of it. */
export async function admitEmailChange(services: Services, identityId: string): Promise<{ kind: 'go' } | Wait> {
  return count(services, 'address-change', identityId, ADDRESS_CHANGES_PER_HOUR)
}

/** Asks whether a forgotten password may be reported from this address; it counts whatever comes of it. */
export async function admitRecovery(services: Services, address: string): Promise<{ kind: 'go' } | Wait> {
  return admit(services, 'recovery', address, RECOVERIES_PER_HOUR)
}

/** Whether one more mail may go to somebody that anybody can have sent to them. What a page answers must not depend on it. */
export async function mayMail(services: Services, email: string): Promise<boolean> {
  const { name, free, seconds } = hourlyCounter(services, 'mail', keyOf(email), MAILS_PER_HOUR)
  return (await services.storage.counters.add(name, seconds)).points <= free
}

function open(
  services: Services,
  entry: Passage,
  counted: AttemptCounter[],
  failed: () => Promise<IpBlock | null>,
): AdmittedAttempt | Wait {
  if (entry.kind === 'held') return { kind: 'wait', retryAt: inMs(services, entry.forMs), ipBlocked: false }
  const { counters } = services.storage
  return {
    kind: 'go',
    failed,
    async succeeded() {
      const others = entry.passed.filter((each) => !counted.includes(each))
      await Promise.all([reset(services, counted), release(services, others)])
    },
    async withdraw() {
      await Promise.all([...counted.map(({ name }) => counters.takeBack(name)), release(services, entry.passed)])
    },
  }
}

async function noteFailure(services: Services, address: string): Promise<IpBlock | null> {
  const { name, seconds } = ipCounter(services, address)
  const { points } = await services.storage.counters.add(name, seconds)
  const { suspensionAfter } = services.policy
  return suspensionAfter > 0 && points >= suspensionAfter ? blockIp(services, address, points) : null
}

async function admit(
  services: Services,
  act: string,
  address: string,
  perHour: number,
): Promise<{ kind: 'go' } | Wait> {
  const suspension = await findIpBlock(services, address)
  if (suspension !== null) return { kind: 'wait', retryAt: suspension.until, ipBlocked: true }
  return count(services, act, ipKey(address), perHour)
}

async function count(services: Services, act: string, whose: string, perHour: number): Promise<{ kind: 'go' } | Wait> {
  const { name, free, seconds } = hourlyCounter(services, act, whose, perHour)
  const { points, endsInMs } = await services.storage.counters.add(name, seconds)
  return points <= free ? { kind: 'go' } : { kind: 'wait', retryAt: inMs(services, endsInMs), ipBlocked: false }
}

function inMs(services: Services, ms: number): Date {
  return new Date(services.clock().getTime() + ms)
}
