import type { Adapter, AdapterFactory } from 'oidc-provider'
import type { Portal } from '../domain/portal.ts'
import { appAdapter } from './app-adapter.ts'
import { applicationTokenAdapter } from './application-token-adapter.ts'
import { authorizationCodeAdapter } from './authorization-code-adapter.ts'
import { grantAdapter } from './grant-adapter.ts'
import { interactionAdapter } from './interaction-adapter.ts'
import type { Model } from './model.ts'
import { pushedRequestAdapter } from './pushed-request-adapter.ts'
import { refreshTokenAdapter } from './refresh-token-adapter.ts'
import { replayAdapter } from './replay-adapter.ts'

const MODELS: Record<string, (portal: Portal) => Model> = {
  Client: appAdapter,
  Grant: grantAdapter,
  RefreshToken: refreshTokenAdapter,
  AccessToken: applicationTokenAdapter,
  AuthorizationCode: authorizationCodeAdapter,
  ReplayDetection: replayAdapter,
  // Derived from the identity session, and never kept.
  Session: () => UNASKED,
  Interaction: interactionAdapter,
  PushedAuthorizationRequest: pushedRequestAdapter,
}

/** The only door between the protocol library and the stores: model name to one of the adapters beside this file. */
export function createAdapter(portal: Portal): AdapterFactory {
  return (name) => {
    const model = MODELS[name]
    if (model === undefined) throw new Error(`the portal keeps no ${name}`)
    return { ...UNASKED, ...model(portal) }
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
