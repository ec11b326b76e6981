import type { Config } from '../config.ts'
import { type Finding, finding } from '../domain/findings.ts'
import { findAllowedDomains, isRegistrationOpen } from '../domain/identities/open-registration.ts'
import { upstreamProviderOf } from '../domain/identity-providers/identity-providers.ts'
import { checkProvider } from '../domain/identity-providers/provider-checks.ts'
import type { UpstreamProvider } from '../domain/upstream.ts'
import { type IdentityProviderRow, listIdentityProviders } from '../storage/identity-providers.ts'
import type { Patient } from './patient.ts'

/** Whether the providers that are offered can be asked to sign users in: their client secrets, and what they publish. */
export async function examineIdentityProviders({
  config,
  storage,
  secrets,
  clock,
}: Pick<Patient, 'storage' | 'secrets' | 'clock'> & { config: Pick<Config, 'policy' | 'publicUrl'> }): Promise<
  Finding[]
> {
  const offered = (await listIdentityProviders(storage.pool)).filter(({ disabledAt }) => disabledAt === null)
  if (offered.length === 0) return []
  const { openUpstream } = await import('../upstream/providers.ts')
  const portal = { upstream: openUpstream(clock), publicUrl: config.publicUrl }
  const isLimited = !isRegistrationOpen(config) || (await findAllowedDomains({ storage })).length > 0
  const found = await Promise.all(
    offered.map(async (row) => {
      const provider = upstreamProviderOf({ secrets }, row)
      return [...secretOf(row, provider), ...(isLimited ? [] : openTo(row)), ...(await ask(portal, provider, row))]
    }),
  )
  return found.flat()
}

function secretOf({ id, name, kind, encryptedSecret }: IdentityProviderRow, provider: UpstreamProvider): Finding[] {
  if (provider.clientSecret !== null) return []
  const change = `gatehouse identity-provider update ${id} --client-secret-stdin < secret.txt`
  if (encryptedSecret !== null) {
    const sentence = `The client secret of ${name} is encrypted under a root secret that the portal does not have; set it anew.`
    return [finding('identity_provider_secret', sentence, change)]
  }
  // An OpenID provider may take this portal for a public client; GitHub has none.
  return kind === 'github' ? [finding('identity_provider_secret', `${name} needs a client secret.`, change)] : []
}

function openTo({ id, name, registration, domains }: IdentityProviderRow): Finding[] {
  if (registration === 'never' || domains.length > 0) return []
  const change = `gatehouse identity-provider update ${id} --domain example.com`
  return [finding('identity_provider_open', `Anyone with an account at ${name} gets one here.`, change)]
}

async function ask(
  portal: Parameters<typeof checkProvider>[0],
  provider: UpstreamProvider,
  { name }: Pick<IdentityProviderRow, 'name'>,
): Promise<Finding[]> {
  const { id, issuer } = provider
  const standing = await checkProvider(portal, provider)
  if (standing.kind === 'answers') return []
  return [
    standing.kind === 'unreachable'
      ? finding(
          'identity_provider_unreachable',
          `${name} does not answer at ${issuer} (${standing.problem}).`,
          `gatehouse identity-provider disable ${id}`,
        )
      : finding(
          'identity_provider_answer',
          `What ${name} publishes at ${issuer} cannot be used (${standing.problem}).`,
          `gatehouse identity-provider update ${id} --issuer ${issuer}`,
        ),
  ]
}
