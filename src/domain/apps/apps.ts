// apps/: the registry of apps (OAuth clients), their secrets and their redirect URIs.
//
// It owns what settings an app may have, and the rotation of its client secret.
// It leaves client authentication and every other step of the protocol to `oidc/`, and the families of an app to `families/`.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { FAMILY_LIFETIMES, FAMILY_RENEWALS, isLoopback } from '../../config.ts'
import {
  type AppProof,
  type AppRow,
  findApp as findRow,
  insertApp,
  isIdTokenAlgUsed as isAlgUsed,
  listApps as listRows,
  listDisabledClientIds,
  updateApp,
} from '../../storage/apps.ts'
import { deleteAppIcon, upsertAppIcon } from '../../storage/app-icons.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { lockFamiliesOfDisabledApp } from '../../storage/family-ends.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { AppRefused } from './app-refused.ts'
import type { AuditKind } from '../audit-events.ts'
import { endIn } from '../endings/endings.ts'
import type { Icon } from './app-icons.ts'
import type { Services } from '../services.ts'
import { plainUrl, redirectFaults, reservedNameFaults } from './redirect-uris.ts'
import { LONGEST_TOKEN, SIGNING_ALGS } from '../keys/signing-keys.ts'
import { addSeconds } from '../time.ts'

export type { AppProof, AppRow }

/** OpenID Connect Core §5.4 without `address` and `phone`, which no account has: an app that asks for them gets no such claims. */
export const OPENID_SCOPES = ['openid', 'profile', 'email', 'roles', 'offline_access'] as const

/** Any app, also one that is disabled. */
export async function findApp({ storage }: Services, clientId: string): Promise<AppRow | null> {
  return findRow(storage, clientId)
}

/** Every app, the oldest first. */
export async function listApps({ storage }: Services): Promise<AppRow[]> {
  return listRows(storage)
}

/** Whether an app wants its ID tokens signed with this algorithm. */
export async function isIdTokenAlgUsed({ storage }: Services, alg: string): Promise<boolean> {
  return isAlgUsed(storage, alg)
}

/** False for what cannot be a client id, so that the store need not be asked. */
export function isClientId(value: string): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(value)
}

/** After a rotation the previous secret stays valid for this long (seconds), so that a deployment can follow. */
const SECRET_OVERLAP = 24 * 3600

/** The settings of an app, which an operator decides. */
export type AppSettings = Pick<
  AppRow,
  | 'name'
  | 'isPublic'
  | 'isNative'
  | 'redirectUris'
  | 'postLogoutRedirectUris'
  | 'audience'
  | 'scope'
  | 'allowNoPkce'
  | 'idTokenAlg'
  | 'refreshIdToken'
  | 'allowOffline'
  | 'applicationTokenTtl'
  | 'familyIdle'
  | 'familyMax'
  | 'rotationGrace'
  | 'rotationGraceProven'
  | 'backchannelLogoutUri'
  | 'eventReceiverUri'
  | 'familyLifetime'
  | 'familyRenewal'
  | 'homeUri'
  | 'description'
  | 'colour'
  | 'firstTimeNotice'
>

/**
 * Registers an app. @returns the client secret of a confidential app, of which only the hash is stored. @throws AppRefused
 *
 * Its application tokens have an `aud` of their own unless it is given one. The client id is the `aud` of its ID tokens, and an
 * API that checks nothing else would take those for application tokens (RFC 9068 §2.2).
 */
export async function createApp(
  services: Services,
  clientId: string,
  {
    audience = `${services.publicUrl}/apps/${clientId}`,
    ...rest
  }: Omit<AppSettings, 'audience'> & { audience?: string },
  icon: Icon | null = null,
): Promise<{ app: AppRow; secret: string | null }> {
  const faults = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/.test(clientId)
    ? []
    : ['a client id has 1 to 128 letters, digits, dots, dashes, underscores or tildes']
  const settings: AppSettings = { ...rest, audience }
  refuse([...faults, ...faultsOf(settings), ...reservedNameFaults(settings.redirectUris)])

  const secret = settings.isPublic ? null : makeSecret()
  const now = services.clock()
  const app: AppRow = {
    clientId,
    ...settings,
    icon: icon === null ? null : icon.hash,
    secretHash: secret === null ? null : hashSecret(secret),
    previousSecretHash: null,
    previousSecretUntil: null,
    createdAt: now,
    updatedAt: now,
    disabledAt: null,
  }
  try {
    await transaction(services.storage.pool, async (db) => {
      await insertApp(db, app)
      if (icon !== null) await upsertAppIcon(db, clientId, icon)
      await writeDown(services, db, 'app_created', clientId, now)
    })
  } catch (error) {
    if (isUniqueViolation(error)) throw new AppRefused(`there is an app ${clientId} already`)
    throw error
  }
  return { app, secret }
}

/**
 * Changes settings of an app. Public or confidential, and native or not, cannot change.
 * @param icon null removes it @throws AppRefused
 */
export async function changeApp(
  services: Services,
  app: AppRow,
  settings: Partial<Omit<AppSettings, 'isPublic' | 'isNative'>>,
  icon?: Icon | null,
): Promise<AppRow> {
  refuse([...faultsOf({ ...app, ...settings }), ...reservedNameFaults(settings.redirectUris ?? [])])
  const change = { ...settings, ...(icon === undefined ? {} : { icon: icon && icon.hash }) }
  return alter(services, app.clientId, change, 'app_changed', Object.keys(change).join(', '), async (db) => {
    if (icon === null) await deleteAppIcon(db, app.clientId)
    else if (icon !== undefined) await upsertAppIcon(db, app.clientId, icon)
  })
}

/** Changes an app and inserts the audit event, in one transaction, with what else belongs to the change. */
async function alter(
  services: Services,
  clientId: string,
  change: Partial<AppRow>,
  kind: AuditKind,
  detail: string | null = null,
  also: (db: Queryable) => Promise<void> = async () => {},
): Promise<AppRow> {
  const now = services.clock()
  return transaction(services.storage.pool, async (db) => {
    await writeDown(services, db, kind, clientId, now, detail)
    await also(db)
    return updateApp(db, clientId, change, now)
  })
}

async function writeDown(
  { operator: actor }: Services,
  db: Queryable,
  kind: AuditKind,
  clientId: string,
  now: Date,
  detail: string | null = null,
): Promise<void> {
  await insertAuditEvents(db, [{ kind, clientId, detail, actor }], now)
}

/** A new client secret; the previous one stays valid for a day. @throws AppRefused for a public app */
export async function rotateSecret(services: Services, app: AppRow): Promise<string> {
  if (app.isPublic) throw new AppRefused(`${app.clientId} is a public app and has no secret`)
  const secret = makeSecret()
  const previousSecretUntil = addSeconds(services.clock(), SECRET_OVERLAP)
  const change = { secretHash: hashSecret(secret), previousSecretHash: app.secretHash, previousSecretUntil }
  await alter(services, app.clientId, change, 'app_secret_rotated')
  return secret
}

/** Families that one transaction ends: few enough that other transactions hardly wait. */
const ENDED_AT_ONCE = 250

/** Disables an app: it is refused from this moment on, and all its families end. */
export async function disableApp(services: Services, app: AppRow): Promise<AppRow> {
  const disabled = await alter(services, app.clientId, { disabledAt: services.clock() }, 'app_disabled')
  await endFamiliesOfApp(services, app.clientId)
  return disabled
}

/** Ends the families that disabled apps still have, because the command that disabled them was interrupted. @returns how many. */
export async function endFamiliesOfDisabledApps(services: Services, signal?: AbortSignal): Promise<number> {
  let count = 0
  for (const clientId of await listDisabledClientIds(services.storage.pool)) {
    count += await endFamiliesOfApp(services, clientId, signal)
  }
  return count
}

async function endFamiliesOfApp(services: Services, clientId: string, signal?: AbortSignal): Promise<number> {
  let count = 0
  while (signal?.aborted !== true) {
    const ended = await transaction(services.storage.pool, async (db) => {
      const ids = await lockFamiliesOfDisabledApp(db, clientId, ENDED_AT_ONCE)
      await endIn(services, db, { families: { ids } }, { cause: 'app_disabled', clientInfo: null }, services.clock())
      return ids.length
    })
    count += ended
    if (ended < ENDED_AT_ONCE) break
  }
  return count
}

export async function enableApp(services: Services, app: AppRow): Promise<AppRow> {
  return alter(services, app.clientId, { disabledAt: null }, 'app_enabled')
}

/** A client secret is 256 random bits, so a plain SHA-256 protects it; a slow hash is for what people choose. */
export function secretMatches(app: AppRow, secret: string, now: Date): boolean {
  const hash = Buffer.from(hashSecret(secret))
  const valid = [
    app.secretHash,
    app.previousSecretUntil !== null && app.previousSecretUntil > now ? app.previousSecretHash : null,
  ]
  return valid.some((candidate) => candidate !== null && timingSafeEqual(Buffer.from(candidate), hash))
}

function makeSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** The hash of a client secret, which the app's row keeps in its place. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

function refuse(faults: string[]): void {
  if (faults.length > 0) throw new AppRefused(faults.join('\n'))
}

const ILLEGIBLE = 'a name and a description have visible characters, and no bidirectional control characters'

/** Bidirectional controls would let one app look like another on the sign-in page, and turn the text around (UTS 36). */
function isLegible(text: string): boolean {
  return /[^\s\p{Default_Ignorable_Code_Point}]/u.test(text) && !/\p{Bidi_Control}/u.test(text)
}

function faultsOf(settings: AppSettings): string[] {
  const faults: string[] = []
  if (settings.name.trim() === '' || settings.name.length > 100 || /\p{Cc}/u.test(settings.name)) {
    faults.push('a name has 1 to 100 characters')
  } else if (!isLegible(settings.name)) faults.push(ILLEGIBLE)
  if (settings.redirectUris.length === 0) faults.push('an app needs at least one redirect URI')
  for (const uri of settings.redirectUris) faults.push(...redirectFaults(uri, settings.isNative))
  for (const uri of settings.postLogoutRedirectUris) faults.push(...redirectFaults(uri, settings.isNative))
  if (!/^[\x21-\x7e]{1,255}$/.test(settings.audience)) faults.push('an audience has 1 to 255 visible ASCII characters')
  if (!/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(settings.scope))
    faults.push('a scope is a list of words, separated by single spaces')
  if (!settings.scope.split(' ').includes('openid')) faults.push('the scope must contain openid')
  if (settings.allowOffline && !settings.scope.split(' ').includes('offline_access'))
    faults.push('an app with --offline needs offline_access in its scope')
  if (settings.allowNoPkce && settings.isPublic) faults.push('a public app cannot do without PKCE (RFC 9700 §2.1.1)')
  if (!(SIGNING_ALGS as readonly string[]).includes(settings.idTokenAlg))
    faults.push(`ID tokens are signed with one of ${SIGNING_ALGS.join(', ')}`)
  faults.push(
    ...listenerFaults('back-channel logout URI', settings.backchannelLogoutUri, settings.isPublic),
    ...listenerFaults('event receiver URI', settings.eventReceiverUri, settings.isPublic),
    ...homeFaults(settings.homeUri),
    ...descriptionFaults(settings.description),
    ...colourFaults(settings.colour),
    ...choiceFault('family-lifetime', settings.familyLifetime, FAMILY_LIFETIMES),
    ...choiceFault('family-renewal', settings.familyRenewal, FAMILY_RENEWALS),
    ...rangeFault('application-token-ttl', settings.applicationTokenTtl, 10, LONGEST_TOKEN),
    ...rangeFault('family-idle', settings.familyIdle, 10, 315_360_000),
    ...rangeFault('family-max', settings.familyMax, 10, 315_360_000),
    ...rangeFault('rotation-grace', settings.rotationGrace, 0, 300),
    ...rangeFault('rotation-grace-proven', settings.rotationGraceProven, 0, 7_776_000),
  )
  return faults
}

/** The page that people open. A browser goes there, so http is for loopback only, as with redirect URIs. */
function homeFaults(uri: string | null): string[] {
  if (uri === null) return []
  const refused = (why: string) => [`home URI ${JSON.stringify(uri)}: ${why}`]
  // A fragment is how some single-page apps name their first page, and it reaches no server.
  const url = plainUrl(uri.replace(/#[^#]*$/, ''))
  if (typeof url === 'string') return refused(url)
  if (!/^[\x21-\x7e]{1,2000}$/.test(uri)) return refused('is not an absolute URI')
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return []
  return refused(url.protocol === 'http:' ? 'http is only allowed on loopback; use https' : 'must begin with https://')
}

function descriptionFaults(description: string | null): string[] {
  const fits =
    description === null ||
    (description.trim() !== '' && Array.from(description).length <= 200 && !/[\p{Cc}\u2028\u2029]/u.test(description))
  if (!fits) return ['a description has 1 to 200 characters, in one line']
  return description === null || isLegible(description) ? [] : [ILLEGIBLE]
}

function colourFaults(colour: string | null): string[] {
  return colour === null || /^#[0-9a-f]{6}$/i.test(colour) ? [] : ['a colour is written as #rrggbb']
}

function rangeFault(name: string, seconds: number | null, minimum: number, maximum: number): string[] {
  const fits = seconds === null || (Number.isInteger(seconds) && seconds >= minimum && seconds <= maximum)
  return fits ? [] : [`${name} must be between ${minimum} and ${maximum} seconds`]
}

function choiceFault(name: string, value: string | null, choices: readonly string[]): string[] {
  return value === null || choices.includes(value) ? [] : [`${name} must be ${choices.join(' or ')}`]
}

/**
 * Checks a URI that back-channel requests go to: https, or http on loopback or for a confidential app (OpenID Connect
 * Back-Channel Logout §2.2). Which networks may be reached is decided when a request is sent (SSRF guard).
 */
function listenerFaults(name: string, uri: string | null, isPublic: boolean): string[] {
  if (uri === null) return []
  const refused = (why: string) => [`${name} ${JSON.stringify(uri)}: ${why}`]
  const url = plainUrl(uri)
  if (typeof url === 'string') return refused(url)
  if (url.protocol === 'https:') return []
  if (url.protocol !== 'http:') return refused('must begin with https://')
  return !isPublic || isLoopback(url.hostname) ? [] : refused('http is not allowed for a public app; use https')
}
