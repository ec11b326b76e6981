import { type Message, message } from '../../i18n/messages.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { type Database, transaction } from '../../storage/postgres.ts'
import { listRegistrationDomains, replaceRegistrationDomains } from '../../storage/registration-domains.ts'
import { asciiDomain } from '../limits/login-keys.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { canonicalEmail, emailProblem } from './emails.ts'

const MOST_DOMAINS = 100

/** Whether strangers can register by themselves. */
export function isRegistrationOpen({ policy }: Pick<Services, 'policy'>): boolean {
  return policy.registration === 'open'
}

/** Whether strangers can register, here or in the identity source. */
export function offersRegistration(services: Pick<Services, 'policy' | 'identitySource'>): boolean {
  return isRegistrationOpen(services) && registrationPlace(services) !== 'elsewhere'
}

/** Where an account of a stranger is made: here, in the identity source, or neither, where that makes none. */
export function registrationPlace({
  identitySource,
}: Pick<Services, 'identitySource'>): 'here' | 'source' | 'elsewhere' {
  if (identitySource === null) return 'here'
  return identitySource.create === null ? 'elsewhere' : 'source'
}

/** The domains whose addresses may register by themselves, by name; all may when there are none. */
export async function findAllowedDomains({ storage }: { storage: Database }): Promise<string[]> {
  return listRegistrationDomains(storage)
}

/** Replaces the domains; none lets all register. `*.example.com` stands for the subdomains of example.com. @throws Refused */
export async function changeAllowedDomains(services: Services, domains: string[]): Promise<string[]> {
  const read = [...new Set(domains.map(readDomain))].toSorted()
  if (read.length > MOST_DOMAINS) throw new Refused(`there are at most ${MOST_DOMAINS} domains`)
  await transaction(services.storage.pool, async (db) => {
    await replaceRegistrationDomains(db, read)
    const detail = read.length === 0 ? 'every domain' : read.join(', ')
    await insertAuditEvents(db, [{ kind: 'registration_changed', detail, actor: services.operator }], services.clock())
  })
  return read
}

/**
 * Why a user may not take this e-mail address by themselves; null when they may. `email` is canonical. `own` is an address that
 * they have proved: its domain stays theirs.
 */
export async function domainProblem(
  services: Services,
  email: string,
  own: string | null = null,
): Promise<Message | null> {
  if (!isRegistrationOpen(services)) return null
  const domains = await findAllowedDomains(services)
  const domain = domainOf(email)
  if (domains.length === 0 || domains.some((each) => covers(each, domain))) return null
  if (own !== null && domainOf(own) === domain) return null
  return message('email.other_domain', { count: domains.length, domains: domains.join(', ') })
}

function covers(allowed: string, domain: string): boolean {
  return allowed.startsWith('*.') ? domain.endsWith(allowed.slice(1)) : domain === allowed
}

function domainOf(email: string): string {
  return asciiDomain(email.slice(email.lastIndexOf('@') + 1))
}

/** A domain as it is stored: in A-labels and small letters. @throws Refused */
function readDomain(typed: string): string {
  const [, wildcard = '', name = ''] = /^(\*\.)?(.*)$/s.exec(typed.trim()) ?? []
  const email = canonicalEmail(`x@${name}`)
  if (name.includes('@') || emailProblem(email) !== null)
    throw new Refused(`${JSON.stringify(typed.slice(0, 100))} is no domain like example.com or *.example.com`)
  return wildcard + domainOf(email)
}
