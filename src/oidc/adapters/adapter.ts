import type { Adapter, AdapterFactory } from 'oidc-provider'
import type { Services } from '../../domain/services.ts'
import type { FetchedKeys } from '../../domain/apps/fetched-keys.ts'
import { appAdapter } from './apps.ts'
import { applicationTokenAdapter } from './application-tokens.ts'
import { authorizationCodeAdapter } from './authorization-codes.ts'
import { deviceCodeAdapter } from './device-codes.ts'
import { grantAdapter } from './grants.ts'
import { interactionAdapter } from './interactions.ts'
import type { AdapterMethods } from './adapter-methods.ts'
import { pushedRequestAdapter } from './pushed-requests.ts'
import { refreshTokenAdapter } from './refresh-tokens.ts'
import { replayAdapter } from './replay-marks.ts'

const MODELS: Record<string, (services: Services, fetched: FetchedKeys) => AdapterMethods> = {
  Client: appAdapter,
  Grant: grantAdapter,
  RefreshToken: refreshTokenAdapter,
  AccessToken: applicationTokenAdapter,
  // Service tokens are JWTs, which the portal verifies itself.
  ClientCredentials: () => UNASKED,
  AuthorizationCode: authorizationCodeAdapter,
  DeviceCode: deviceCodeAdapter,
  ReplayDetection: replayAdapter,
  // Derived from the identity session, and never stored.
  Session: () => UNASKED,
  Interaction: interactionAdapter,
  PushedAuthorizationRequest: pushedRequestAdapter,
}

/**
 * The only door between the protocol library and the stores: a table from model name to adapter.
 * @param fetched the keys that clients publish
 */
export function createAdapter(services: Services, fetched: FetchedKeys): AdapterFactory {
  return (name) => {
    const model = MODELS[name]
    if (model === undefined) throw new Error(`the portal keeps no ${name}`)
    return { ...UNASKED, ...model(services, fetched) }
  }
}

async function unasked(): Promise<undefined> {}

const UNASKED: Adapter = {
  find: unasked,
  findByUid: unasked,
  findByUserCode: unasked,
  upsert: unasked,
  consume: unasked,
  destroy: unasked,
  revokeByGrantId: unasked,
}
