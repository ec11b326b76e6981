// identity-providers/: the registry of other providers (OpenID Connect, GitHub) with which users sign in.
//
// It owns what an operator says of a provider, its client secret, and which domain of an address leads to which provider.
// It leaves the HTTP work to `upstream/`, and who is signed in, linked or registered to `accounts/`.

import { isLoopback } from '../../config.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import {
  deleteIdentityProvider as deleteRow,
  findIdentityProvider as findRow,
  type IdentityProviderRow,
  insertIdentityProvider,
  listIdentityProviders as listRows,
  lockIdentityProviders,
  updateIdentityProvider,
} from '../../storage/identity-providers.ts'
import { countLinkedAccounts } from '../../storage/linked-accounts.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import type { AuditKind } from '../audit-events.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import { decryptWithAny, encrypt } from '../keys/encryption.ts'
import { asciiDomain } from '../limits/login-keys.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import type { UpstreamProvider } from '../upstream.ts'
import { forgetProviders, rememberedProviders } from './remembered-providers.ts'

/** A provider without its secret. */
export type IdentityProvider = IdentityProviderRow

/** What an operator says of a provider. */
export interface IdentityProviderSettings extends Pick<
  IdentityProviderRow,
  'name' | 'kind' | 'issuer' | 'clientId' | 'scopes' | 'domains' | 'registration' | 'keepsTokens'
> {
  clientSecret: string | null
}

const USUAL_SCOPES = { oidc: ['openid', 'profile', 'email'], github: ['read:user', 'user:email'] }
const GITHUB = 'https://github.com'
const ENTRA = 'login.microsoftonline.com'
const MOST_PROVIDERS = 50
const MOST_DOMAINS = 100
const MOST_SCOPES = 30

export async function findIdentityProvider(services: Services, id: string): Promise<IdentityProvider | null> {
  return ID.test(id) ? findRow(services.storage.pool, id) : null
}

/** How many accounts there are linked with one here. */
export async function countAccountsAt(services: Services, { id }: Pick<IdentityProvider, 'id'>): Promise<number> {
  return countLinkedAccounts(services.storage.pool, id)
}

/** By name, those that are disabled as well. */
export async function listIdentityProviders(services: Services): Promise<IdentityProvider[]> {
  return listRows(services.storage.pool)
}

/** Those that pages offer, as they were at most five seconds ago. */
export async function identityProvidersOffered(services: Services): Promise<IdentityProvider[]> {
  return (await rememberedProviders(services)).filter(({ disabledAt }) => disabledAt === null)
}

/**
 * The provider to which the domain of an e-mail address leads; null for a user name, and for any other domain. It depends on the
 * domain alone, so it says nothing of who has an account.
 */
export async function providerForLogin(services: Services, login: string): Promise<IdentityProvider | null> {
  if (!login.includes('@')) return null
  return (await identityProvidersOffered(services)).find((each) => isProviderDomain(each, login)) ?? null
}

/** Whether the domain of this address is one of the provider's. */
export function isProviderDomain({ domains }: Pick<IdentityProvider, 'domains'>, email: string): boolean {
  return domains.includes(domainOf(canonicalEmail(email)))
}

/** A provider as it is asked: with its secret, unless no root secret opens that. */
export function upstreamProviderOf(
  { secrets }: Pick<Services, 'secrets'>,
  provider: IdentityProvider,
): UpstreamProvider {
  const { id, kind, issuer, clientId, scopes, encryptedSecret } = provider
  const keys = secrets.map(({ providerSecretEncryption }) => providerSecretEncryption)
  const opened = encryptedSecret === null ? null : decryptWithAny(encryptedSecret, id, keys)
  return { id, kind, issuer, clientId, clientSecret: opened?.plaintext ?? null, scopes }
}

type GivenSettings = Partial<IdentityProviderSettings> & Pick<IdentityProviderSettings, 'name' | 'clientId'>

/** A provider as it would be registered, which it is not yet. @throws Refused for a setting that cannot be */
export function draftIdentityProvider(services: Services, id: string, settings: GivenSettings): IdentityProvider {
  if (!ID.test(id))
    throw new Refused('the id of a provider is up to 40 small letters, digits and hyphens, such as google')
  const kind = settings.kind ?? 'oidc'
  const now = services.clock()
  const row = {
    id,
    kind,
    issuer: settings.issuer ?? (kind === 'github' ? GITHUB : ''),
    scopes: settings.scopes ?? USUAL_SCOPES[kind],
    domains: settings.domains ?? [],
    registration: settings.registration ?? 'never',
    keepsTokens: settings.keepsTokens ?? false,
    name: settings.name,
    clientId: settings.clientId,
    encryptedSecret: sealSecret(services, id, settings.clientSecret ?? null),
    createdAt: now,
    updatedAt: now,
    disabledAt: null,
  }
  return examine(row, [])
}

/** Registers a provider. @throws Refused */
export async function createIdentityProvider(
  services: Services,
  id: string,
  settings: GivenSettings,
): Promise<IdentityProvider> {
  const row = draftIdentityProvider(services, id, settings)
  return transaction(services.storage.pool, async (db) => {
    await lockIdentityProviders(db)
    const others = await listRows(db)
    if (others.length >= MOST_PROVIDERS) throw new Refused(`there are at most ${MOST_PROVIDERS} providers`)
    if (others.some((each) => each.id === id)) throw new Refused(`there is a provider ${id} already`, 'conflict')
    const examined = examine(row, others)
    await insertIdentityProvider(db, examined)
    await note(services, db, 'identity_provider_created', id)
    return examined
  })
}

/** Changes what is named of a provider; a secret of null takes it away. @throws Refused */
export async function changeIdentityProvider(
  services: Services,
  id: string,
  { clientSecret, ...change }: Partial<Omit<IdentityProviderSettings, 'kind'>>,
): Promise<IdentityProvider> {
  return transaction(services.storage.pool, async (db) => {
    await lockIdentityProviders(db)
    const rows = await listRows(db)
    const before = rows.find((each) => each.id === id)
    if (before === undefined) throw unknown(id)
    const secret = clientSecret === undefined ? {} : { encryptedSecret: sealSecret(services, id, clientSecret) }
    const after = examine(
      { ...before, ...change, ...secret, updatedAt: services.clock() },
      rows.filter((each) => each.id !== id),
    )
    await updateIdentityProvider(db, after)
    const changed = [...Object.keys(change), ...(clientSecret === undefined ? [] : ['clientSecret'])]
    await note(services, db, 'identity_provider_changed', `${id}: ${changed.join(', ')}`)
    return after
  })
}

/** No one signs in with a disabled provider; those who are signed in stay. @throws Refused */
export async function setIdentityProviderDisabled(services: Services, id: string, isDisabled: boolean): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    await lockIdentityProviders(db)
    const before = await findRow(db, id)
    if (before === null) throw unknown(id)
    if ((before.disabledAt !== null) === isDisabled) return
    const now = services.clock()
    await updateIdentityProvider(db, { ...before, disabledAt: isDisabled ? now : null, updatedAt: now })
    await note(services, db, isDisabled ? 'identity_provider_disabled' : 'identity_provider_enabled', id)
  })
}

/**
 * Deletes a provider. @param unlinks also when accounts there are linked: then they are unlinked, and users who sign in with nothing
 * else cannot sign in any more @throws Refused
 */
export async function deleteIdentityProvider(services: Services, id: string, unlinks: boolean): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    await lockIdentityProviders(db)
    const count = await countLinkedAccounts(db, id)
    if (count > 0 && !unlinks)
      throw new Refused(
        `${count} ${count === 1 ? 'account is' : 'accounts are'} linked there; disable the provider, or say that they are to be unlinked`,
        'conflict',
      )
    if (!(await deleteRow(db, id))) throw unknown(id)
    await note(services, db, 'identity_provider_deleted', id)
  })
}

/** Where a provider sends browsers back to; each has its own (mix-up attacks, RFC 9700 §4.4). */
export function redirectUriOf({ publicUrl }: { publicUrl: string }, { id }: Pick<IdentityProvider, 'id'>): string {
  return `${publicUrl}/login/with/${encodeURIComponent(id)}/callback`
}

const ID = /^[a-z\d](?:[a-z\d-]{0,38}[a-z\d])?$/
const TEXT = /^[^\p{Cc}\p{Cs}]+$/u

/** @throws Refused for a setting that cannot be */
function examine(row: IdentityProviderRow, others: IdentityProviderRow[]): IdentityProviderRow {
  const name = row.name.trim()
  if (name.length > 60 || !TEXT.test(name)) throw new Refused('the name of a provider is a text of up to 60 characters')
  if (row.clientId.length > 300 || !/^[\x20-\x7e]+$/.test(row.clientId))
    throw new Refused('the client id is what the provider calls this portal, such as 4711.apps.example.com')
  const issuer = readIssuer(row)
  const scopes = [...new Set(row.scopes)]
  if (scopes.length > MOST_SCOPES || scopes.some((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(scope)))
    throw new Refused(`scopes are up to ${MOST_SCOPES} words`)
  if (row.kind === 'oidc' && !scopes.includes('openid'))
    throw new Refused('without the scope openid there is no ID token')
  const domains = [...new Set(row.domains.map(readDomain))].toSorted()
  if (domains.length > MOST_DOMAINS) throw new Refused(`there are at most ${MOST_DOMAINS} domains`)
  for (const other of others) {
    const shared = domains.find((domain) => other.domains.includes(domain))
    if (shared !== undefined) throw new Refused(`${shared} leads to the provider ${other.id} already`, 'conflict')
  }
  return { ...row, name, issuer, scopes, domains }
}

function readIssuer({ issuer, kind }: IdentityProviderRow): string {
  const url = URL.parse(issuer)
  const isSecure = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (url === null || !isSecure || url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
    throw new Refused('the issuer is an https address without a query, such as https://accounts.google.com')
  // Tokens there have the issuer of the tenant, so any tenant of the world would have to be believed.
  // What Microsoft publishes for them has a placeholder, `{tenantid}`, in the place of the id.
  if (url.hostname === ENTRA && /^\/(?:common|organizations|consumers|.*(?:\{|%7b).*)(?:\/|$)/i.test(url.pathname))
    throw new Refused('the issuer of Microsoft Entra names one tenant by its id; register one provider for each tenant')
  return kind === 'github' ? issuer.replace(/\/+$/, '') : issuer
}

/** A domain as it is stored: in A-labels and small letters. @throws Refused */
function readDomain(typed: string): string {
  const email = canonicalEmail(`x@${typed.trim().replace(/^@/, '')}`)
  if (email.indexOf('@') !== email.lastIndexOf('@') || emailProblem(email) !== null)
    throw new Refused(`${JSON.stringify(typed.slice(0, 100))} is no domain like example.com`)
  return domainOf(email)
}

function domainOf(email: string): string {
  return asciiDomain(email.slice(email.lastIndexOf('@') + 1))
}

function sealSecret({ secrets }: Services, id: string, secret: string | null): string | null {
  if (secret === null) return null
  if (secret.length > 1000 || !/^[\x21-\x7e]+$/.test(secret))
    throw new Refused('the client secret is a text without spaces')
  return encrypt(secret, id, secrets[0].providerSecretEncryption)
}

function unknown(id: string): Refused {
  return new Refused(`there is no provider ${id}`, 'not_found')
}

async function note(services: Services, db: Queryable, kind: AuditKind, detail: string): Promise<void> {
  forgetProviders(services, db)
  await insertAuditEvents(db, [{ kind, detail, actor: services.operator }], services.clock())
}
