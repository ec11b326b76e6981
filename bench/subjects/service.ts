import { createApi } from '../../src/domain/apps/apis.ts'
import { createApp } from '../../src/domain/apps/apps.ts'
import type { Services } from '../../src/domain/services.ts'
import { contactsApi } from '../../src/testing/portal/apis.ts'
import { robotService } from '../../src/testing/portal/apps.ts'
import { AUDIENCE, type Credentials } from './subject.ts'

/** The API that the service calls, for itself and for users. */
export const OTHER_API = 'https://ledger.example.test/api'
/** What it may do there, and what the tokens of users have to allow. */
export const DELEGATED_SCOPE = 'ledger'

/** Registers a service that is the back end of the apps' audience. */
export async function addService(services: Services): Promise<Credentials> {
  await createApi(services, OTHER_API, { ...contactsApi, name: 'Ledger', scopes: [DELEGATED_SCOPE] })
  const granted = [{ identifier: OTHER_API, scopes: [DELEGATED_SCOPE] }]
  const settings = { ...robotService, audience: AUDIENCE }
  const { secret } = await createApp(services, 'robot', settings, null, { request: granted, exchange: granted })
  return { id: 'robot', secret: secret ?? '' }
}
