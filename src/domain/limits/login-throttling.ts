// limits/: login throttling (brute-force protection), rate limits and IP blocks.
//
// It owns the attempt counters, the progressive delay per account, IP address and pair of both, the temporary block of an IP
// address, and the keys under which logins and IP addresses are counted.
// It leaves the words for 429 to `http/`, the check of the secret itself to the caller, and the counters' storage to `storage/`.

import type { Services } from '../services.ts'
import { findIpBlock, blockIp, type IpBlock } from './ip-blocks.ts'
import {
  accountCounter,
  ipCounter,
  deviceCounter,
  admitAttempt,
  hourlyCounter,
  pairCounter,
  type Admission,
  release,
  reset,
  type AttemptCounter,
} from './attempt-counters.ts'
import { loginKeyOf } from './login-keys.ts'
import { ipKey } from './ip-keys.ts'

/** Asking for the password again, and for the one that is to be changed, counts as `sign-in`. */
export type AttemptKind = 'sign-in' | 'passkey' | 'second-factor' | 'email-code' | 'client' | 'device'

export interface ThrottledAttempt {
  kind: AttemptKind
  /** The user name or e-mail address as it was typed; the client id of an app; the id of the identity. */
  account: string
  ipAddress: string
  /** A device that has signed in to this very account before; null for every other. */
  knownDevice: string | null
}

/** The attempt has to wait. */
export interface Wait {
  kind: 'wait'
  retryAt: Date
  /** True when the IP address is blocked, for every account. */
  ipBlocked: boolean
}

/** An attempt whose secret may be checked, once. It is counted already; the caller must report its result. */
export interface AdmittedAttempt {
  kind: 'go'
  /** Resets the failures of this account, and of no other. */
  succeeded(): Promise<void>
  /** @returns the IP block that this failure caused */
  failed(): Promise<IpBlock | null>
  /** The secret was not checked, so the attempt does not count. */
  withdraw(): Promise<void>
}

/** Password recoveries that one IP address may ask for in an hour, and recovery mails that one e-mail address is sent. */
const RECOVERIES_PER_HOUR = 20
const MAILS_PER_HOUR = 3
/** New passwords that may be tried for one identity in an hour, and new e-mail addresses that may be mailed for it. */
const NEW_PASSWORDS_PER_HOUR = 30
const EMAIL_CHANGES_PER_HOUR = 10
/** Refusals that are written into the audit log, where anyone can cause them. */
const REFUSALS_PER_HOUR = 60
/** Sign-ins at other providers that one IP address may come back from in an hour. */
const UPSTREAM_RETURNS_PER_HOUR = 3000
const NEW_PASSWORD = 'new-password'
const EMAIL_CHANGE = 'address-change'

/**
 * Login throttling (brute-force protection): asks whether a presented secret may be checked now. Failures are counted per
 * account, per IP address, and per pair of both.
 *
 * A device that has signed in to the account before is delayed by its own failures alone, so an attacker cannot lock the user
 * out. A client or a passkey is never delayed by attempts in its name from other IP addresses, for the same reason.
 */
export async function beginAttempt(services: Services, attempt: ThrottledAttempt): Promise<AdmittedAttempt | Wait> {
  const { kind, account, ipAddress, knownDevice } = attempt
  if (knownDevice !== null) {
    const counted = [deviceCounter(services, kind, account, knownDevice)]
    return open(services, await admitAttempt(services, counted, []), counted, async () => null)
  }

  const ipBlock = await findIpBlock(services, ipAddress)
  if (ipBlock !== null) return { kind: 'wait', retryAt: ipBlock.until, ipBlocked: true }
  const counted = [
    pairCounter(services, kind, account, ipAddress),
    ...(kind === 'client' || kind === 'passkey' ? [] : [accountCounter(services, kind, account)]),
  ]
  const admission = await admitAttempt(services, counted, [ipCounter(services, ipAddress)])
  return open(services, admission, counted, () => noteFailure(services, ipAddress))
}

/** Where attempts at an account may be counted. */
export interface CountedAccount {
  id: string
  /** Its user name and its e-mail address. */
  logins: string[]
  /** That have failed at it. */
  ipAddresses: string[]
  /** Known ones, as `knownDevice` of an attempt. */
  devices: string[]
}

/** Forgets the failures at one account, and ends its delays. Those of IP addresses at every account stay. */
export async function forgetAttempts(
  services: Services,
  { id, logins, ipAddresses, devices }: CountedAccount,
): Promise<void> {
  const counted = [
    ...logins.map((account) => ({ kind: 'sign-in', account })),
    ...(['second-factor', 'passkey'] as const).map((kind) => ({ kind, account: id })),
  ]
  const counters = counted.flatMap(({ kind, account }) => [
    accountCounter(services, kind, account),
    ...ipAddresses.map((ipAddress) => pairCounter(services, kind, account, ipAddress)),
    ...devices.map((device) => deviceCounter(services, kind, account, device)),
  ])
  const hourly = [NEW_PASSWORD, EMAIL_CHANGE].map((act) => hourlyCounter(services, act, id, 0))
  await reset(services, [...counters, ...hourly])
}

/** Rate limit of registrations per IP address. Every call counts. */
export async function admitRegistration(services: Services, ipAddress: string): Promise<{ kind: 'go' } | Wait> {
  return admit(services, 'registration', ipAddress, services.policy.registrationsPerHour)
}

/** Rate limit of new passwords per identity. Every call counts. */
export async function admitNewPassword(services: Services, identityId: string): Promise<{ kind: 'go' } | Wait> {
  return count(services, NEW_PASSWORD, identityId, NEW_PASSWORDS_PER_HOUR)
}

/** Rate limit of e-mail changes per identity. Every call counts. */
export async function admitEmailChange(services: Services, identityId: string): Promise<{ kind: 'go' } | Wait> {
  return count(services, EMAIL_CHANGE, identityId, EMAIL_CHANGES_PER_HOUR)
}

/** Rate limit of password recoveries per IP address. Every call counts. */
export async function admitRecovery(services: Services, ipAddress: string): Promise<{ kind: 'go' } | Wait> {
  return admit(services, 'recovery', ipAddress, RECOVERIES_PER_HOUR)
}

/**
 * Rate limit of mails that strangers can have sent to an e-mail address. The answer of a page must not depend on it: that would
 * allow account enumeration.
 */
export async function mayMail(services: Services, email: string): Promise<boolean> {
  return isWithin(services, 'mail', loginKeyOf(email), MAILS_PER_HOUR)
}

/** Rate limit of sign-in links per IP address. Every call counts. */
export async function admitMailSignIn(services: Services, ipAddress: string): Promise<{ kind: 'go' } | Wait> {
  return admit(services, 'mail-sign-in', ipAddress, RECOVERIES_PER_HOUR)
}

/**
 * Rate limit of sign-ins that come back from another provider, per IP address. Every call counts. A company signs in from one
 * address, and there is nothing to guess: it bounds what strangers can store, and have asked of a provider.
 */
export async function admitUpstreamReturn(services: Services, ipAddress: string): Promise<{ kind: 'go' } | Wait> {
  return admit(services, 'upstream-return', ipAddress, UPSTREAM_RETURNS_PER_HOUR)
}

/**
 * The rate limit of `mayMail` for sign-in links. A device that has signed in to the account before counts by itself, so strangers
 * cannot use up its mails.
 */
export async function mayMailSignIn(services: Services, email: string, knownDevice: Buffer | null): Promise<boolean> {
  const whose = loginKeyOf(email) + (knownDevice === null ? '' : ` ${knownDevice.toString('base64url')}`)
  return isWithin(services, 'mail-sign-in-link', whose, MAILS_PER_HOUR)
}

/** Rate limit of audit events that anyone can cause, per IP address. */
export async function mayWriteRefusal(services: Services, ipAddress: string): Promise<boolean> {
  return isWithin(services, 'refusal', ipKey(ipAddress), REFUSALS_PER_HOUR)
}

/** The same per operator, of operations that they may not perform. */
export async function mayWriteForbidden(services: Services, operator: string): Promise<boolean> {
  return isWithin(services, 'forbidden', operator, REFUSALS_PER_HOUR)
}

async function isWithin(services: Services, act: string, whose: string, perHour: number): Promise<boolean> {
  const { name, free, seconds } = hourlyCounter(services, act, whose, perHour)
  return (await services.storage.counters.add(name, seconds)).points <= free
}

function open(
  services: Services,
  admission: Admission,
  counted: AttemptCounter[],
  failed: () => Promise<IpBlock | null>,
): AdmittedAttempt | Wait {
  if (admission.kind === 'held') return { kind: 'wait', retryAt: inMs(services, admission.forMs), ipBlocked: false }
  const { counters } = services.storage
  return {
    kind: 'go',
    failed,
    async succeeded() {
      const others = admission.passed.filter((each) => !counted.includes(each))
      await Promise.all([reset(services, counted), release(services, others)])
    },
    async withdraw() {
      await Promise.all([...counted.map(({ name }) => counters.takeBack(name)), release(services, admission.passed)])
    },
  }
}

async function noteFailure(services: Services, ipAddress: string): Promise<IpBlock | null> {
  const { name, seconds } = ipCounter(services, ipAddress)
  const { points } = await services.storage.counters.add(name, seconds)
  const { ipBlockAfter } = services.policy
  return ipBlockAfter > 0 && points >= ipBlockAfter ? blockIp(services, ipAddress, points) : null
}

async function admit(
  services: Services,
  act: string,
  ipAddress: string,
  perHour: number,
): Promise<{ kind: 'go' } | Wait> {
  const ipBlock = await findIpBlock(services, ipAddress)
  if (ipBlock !== null) return { kind: 'wait', retryAt: ipBlock.until, ipBlocked: true }
  return count(services, act, ipKey(ipAddress), perHour)
}

async function count(services: Services, act: string, whose: string, perHour: number): Promise<{ kind: 'go' } | Wait> {
  const { name, free, seconds } = hourlyCounter(services, act, whose, perHour)
  const { points, endsInMs } = await services.storage.counters.add(name, seconds)
  return points <= free ? { kind: 'go' } : { kind: 'wait', retryAt: inMs(services, endsInMs), ipBlocked: false }
}

function inMs(services: Services, ms: number): Date {
  return new Date(services.clock().getTime() + ms)
}
