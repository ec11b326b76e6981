import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type AppRow, findApp } from '../../domain/apps/apps.ts'
import {
  type FamilyRow,
  findFamily,
  openFamily,
  type Presentation,
  type Rotation,
  rotate,
  rotateUnproved,
} from '../../domain/families/families.ts'
import { findIdentity } from '../../domain/identities/identities.ts'
import { openIdentitySession } from '../../domain/sign-in/identity-sessions.ts'
import type { ClientInfo } from '../../domain/client-info.ts'
import type { Services } from '../../domain/services.ts'
import { mintRefreshToken } from '../../domain/families/refresh-tokens.ts'

/** The IP address of the users in tests, and that of an attacker. */
export const home: ClientInfo = { browser: 'Firefox', address: '192.0.2.1' }
export const elsewhere: ClientInfo = { browser: 'curl', address: '203.0.113.9' }

export interface Connection {
  familyId: string
  identitySessionId: string
  clientId: string
  refreshToken: string
}

interface Terms {
  scope?: string
  jkt?: string
  identitySessionId?: string
  openedSilently?: boolean
}

/** What a sign-in and a code exchange leave behind: an identity session, and a family at generation 0. */
export async function connect(
  services: Services,
  identityId: string,
  clientId: string,
  terms: Terms = {},
): Promise<Connection> {
  const { connection, opened } = await tryToConnect(services, identityId, clientId, terms)
  assert.equal(opened, true)
  return connection
}

/** The same, where the family may be refused. */
export async function tryToConnect(
  services: Services,
  identityId: string,
  clientId: string,
  terms: Terms = {},
): Promise<{ connection: Connection; opened: boolean }> {
  const app = (await findApp(services, clientId)) as AppRow
  const identitySessionId =
    terms.identitySessionId ??
    ((await openIdentitySession(services, { identityId, amr: ['pwd'] }, home, null)) as string)
  const familyId = randomUUID()
  const refreshToken = mintRefreshToken(familyId, services.secrets)
  const opened = await openFamily(services, {
    id: familyId,
    clientId,
    identityId,
    identitySessionId,
    refreshToken,
    scope: terms.scope ?? 'openid profile',
    claims: null,
    sid: null,
    acr: null,
    amr: ['pwd'],
    authTime: Math.floor(services.clock().getTime() / 1000),
    jkt: terms.jkt ?? null,
    resources: null,
    openedSilently: terms.openedSilently ?? false,
    claimsVersion: (await findIdentity(services, identityId))?.claimsVersion ?? 0,
    app,
  })
  return { connection: { familyId, identitySessionId, clientId, refreshToken }, opened: opened !== null }
}

/** Copies of one family, each with a new id. */
export async function multiply(services: Services, { familyId }: Connection, count: number): Promise<void> {
  await services.storage.pool.query(
    `INSERT INTO families (id, client_id, identity_id, identity_session_id, current_hash, scope, amr, auth_time, created_at, last_used_at,
       idle_expires_at, expires_at, review_at, lifetime, browser, address, ended_at, end_cause)
     SELECT gen_random_uuid(), client_id, identity_id, identity_session_id, current_hash, scope, amr, auth_time, created_at, last_used_at,
       idle_expires_at, expires_at, review_at, lifetime, browser, address, ended_at, end_cause FROM families, generate_series(1, $2) WHERE id = $1`,
    [familyId, count],
  )
}

/** The app presents its refresh token. */
export async function refresh(
  services: Services,
  { clientId, refreshToken }: Pick<Connection, 'clientId' | 'refreshToken'>,
  rest: Partial<Presentation> = {},
): Promise<Rotation> {
  return rotate(services, { refreshToken, clientId, ...plain, clientInfo: home, ...rest })
}

/**
 * The same through the fast path (oidc/fast/refresh.ts): the app's credentials are in the statement, and what that does not
 * rotate goes the slow way. A request with other parameters does not take the fast path.
 */
export async function refreshPlainly(
  services: Services,
  { clientId, refreshToken }: Pick<Connection, 'clientId' | 'refreshToken'>,
  rest: Partial<Presentation> = {},
): Promise<Rotation> {
  const { clientInfo = home, ...more } = rest
  const app = Object.keys(more).length > 0 ? null : await findApp(services, clientId)
  const rotated =
    app && (await rotateUnproved(services, refreshToken, clientId, { secretHash: app.secretHash }, clientInfo))
  const presentation = { refreshToken, clientId, ...plain, clientInfo, ...more }
  return rotated ?? rotate(services, presentation, app !== null)
}

/** What a refresh without parameters asks for. */
const plain = { scopes: null, audience: 'default', jkt: null } as const

/** Both ways to present a refresh token. */
export const REFRESHES = { library: refresh, plain: refreshPlainly }

/** The refresh token of a rotation. */
export function successorIn(rotation: Rotation): string {
  assert.equal(rotation.kind, 'rotated', JSON.stringify(rotation))
  return rotation.refreshToken
}

/** Why a rotation was refused, and whether it ended the family. */
export function refusalIn(rotation: Rotation): { reason: string; ended: boolean } {
  assert.equal(rotation.kind, 'refused', JSON.stringify(rotation))
  return { reason: rotation.reason, ended: rotation.ended }
}

export async function familyRow(services: Services, { familyId }: Pick<Connection, 'familyId'>): Promise<FamilyRow> {
  const family = await findFamily(services, familyId)
  assert.notEqual(family, null)
  return family as FamilyRow
}
