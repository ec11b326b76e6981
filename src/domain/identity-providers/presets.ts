import { Refused } from '../refused.ts'
import type { IdentityProviderSettings } from './identity-providers.ts'

export const PRESETS = ['google', 'entra', 'github'] as const
export type Preset = (typeof PRESETS)[number]

/** What is known of a provider beforehand. @param tenant the id of a tenant of Microsoft Entra @throws Refused */
export function presetOf(
  preset: Preset,
  tenant: string | null,
): Pick<IdentityProviderSettings, 'name' | 'kind'> & Partial<Pick<IdentityProviderSettings, 'issuer'>> {
  if (tenant !== null && preset !== 'entra') throw new Refused('only Microsoft Entra has tenants')
  switch (preset) {
    case 'google':
      return { name: 'Google', kind: 'oidc', issuer: 'https://accounts.google.com' }
    case 'github':
      return { name: 'GitHub', kind: 'github' }
    case 'entra':
      if (tenant === null || !TENANT.test(tenant))
        throw new Refused(
          'the tenant of Microsoft Entra is given by its id, such as 8eaef023-2b34-4da1-9baa-8bc8c9d6a490',
        )
      return {
        name: 'Microsoft',
        kind: 'oidc',
        issuer: `https://login.microsoftonline.com/${tenant.toLowerCase()}/v2.0`,
      }
  }
}

const TENANT = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i
