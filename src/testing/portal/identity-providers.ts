import { createIdentityProvider } from '../../domain/identity-providers/identity-providers.ts'
import type { Services } from '../../domain/services.ts'
import type { ScriptedProvider } from '../network/identity-provider.ts'

/** Registers a scripted provider, as an operator does. */
export async function addProvider(
  services: Services,
  { issuer, clientId, clientSecret }: ScriptedProvider,
  id: string,
  settings: Partial<Parameters<typeof createIdentityProvider>[2]> = {},
): Promise<void> {
  await createIdentityProvider(services, id, { name: id, issuer, clientId, clientSecret, ...settings })
}
