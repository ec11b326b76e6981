import { z } from 'zod'
import {
  changeIdentityProvider,
  countAccountsAt,
  createIdentityProvider,
  deleteIdentityProvider,
  draftIdentityProvider,
  findIdentityProvider,
  type IdentityProvider,
  listIdentityProviders,
  redirectUriOf,
  setIdentityProviderDisabled,
  upstreamProviderOf,
} from '../domain/identity-providers/identity-providers.ts'
import { PRESETS, presetOf } from '../domain/identity-providers/presets.ts'
import { checkProvider } from '../domain/identity-providers/provider-checks.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { operation } from './operation.ts'

const settings = {
  name: z.string().max(60).describe('What users call it: the button says "Continue with <name>".'),
  issuer: z
    .string()
    .max(500)
    .describe('Its issuer, as its metadata has it; of GitHub, the address of an Enterprise Server.'),
  client_id: z.string().max(300).describe('What it calls this portal.'),
  scopes: z
    .array(z.string().max(100))
    .max(30)
    .describe('`openid profile email`, or what GitHub needs, unless others are named.'),
  domains: z.array(z.string().max(255)).max(100).describe('The domains of e-mail addresses that lead to it.'),
  registration: z
    .enum(['never', 'open'])
    .describe('`open`: a user without an account here gets one, while registration is open.'),
  keeps_tokens: z.boolean().describe('Its tokens are kept, encrypted.'),
}

const provider = z
  .object({
    id: z.string().describe('In the redirect URI.'),
    kind: z.enum(['oidc', 'github']),
    ...settings,
    has_secret: z.boolean(),
    redirect_uri: z.url().describe('To register at the provider.'),
    backchannel_logout_uri: z.url().nullable().describe('To register at the provider; GitHub has no logout.'),
    state: z.enum(['enabled', 'disabled']),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'IdentityProvider' })

const secret = z.string().max(1000).nullable().describe('The client secret; it is never answered.')
const warning = z.string().nullable().describe('Why the provider cannot be reached at the moment.')
const which = { provider: z.string().min(1).max(40).describe('The id of the provider.') }
const given = z.strictObject(settings).partial().shape
const about = { path: '/identity-providers/{provider}', resource: 'settings' } as const
const change = { resource: 'settings', kind: 'write', forSupport: false } as const

export const IDENTITY_PROVIDER_OPERATIONS = {
  listIdentityProviders: operation({
    name: 'listIdentityProviders',
    summary: 'List the other providers with which users sign in.',
    method: 'get',
    path: '/identity-providers',
    resource: 'settings',
    kind: 'read',
    forSupport: true,
    input: z.strictObject({}),
    output: z.object({ items: z.array(provider).describe('50 at most.') }).meta({ id: 'IdentityProviders' }),
    async act(services) {
      return { items: (await listIdentityProviders(services)).map((each) => describe(services, each)) }
    },
  }),

  createIdentityProvider: operation({
    name: 'createIdentityProvider',
    summary: 'Register a provider with which users sign in.',
    method: 'post',
    path: '/identity-providers',
    ...change,
    status: 201,
    input: z.strictObject({
      id: z.string().max(40).describe('Small letters, digits and hyphens.'),
      kind: z.enum(['oidc', 'github']).optional(),
      ...given,
      client_id: settings.client_id,
      client_secret: secret.optional(),
      preset: z.enum(PRESETS).optional().describe('Its name, kind and issuer are known.'),
      tenant: z.string().max(100).optional().describe('The id of the tenant, of Microsoft Entra.'),
    }),
    output: provider.extend({ warning }).meta({ id: 'NewIdentityProvider' }),
    async act(services, { id, kind, client_id: clientId, preset, tenant, ...rest }) {
      if (preset === undefined && tenant !== undefined) throw new Refused('a tenant belongs to the preset entra')
      const known = preset === undefined ? {} : presetOf(preset, tenant ?? null)
      const { name, ...given } = { ...known, ...settingsOf(rest), ...(kind !== undefined && { kind }) }
      if (name === undefined) throw new Refused('a provider needs a name')
      const settings = { ...given, name, clientId }
      const problem = await examined(services, draftIdentityProvider(services, id, settings))
      return { ...describe(services, await createIdentityProvider(services, id, settings)), warning: problem }
    },
  }),

  showIdentityProvider: operation({
    name: 'showIdentityProvider',
    summary: 'Show everything about a provider but its secret.',
    method: 'get',
    ...about,
    kind: 'read',
    forSupport: true,
    input: z.strictObject(which),
    output: provider
      .extend({ linked_accounts: z.int().describe('Accounts there that are linked with one here.') })
      .meta({ id: 'IdentityProviderWithCount' }),
    async act(services, { provider: id }) {
      const row = await find(services, id)
      return { ...describe(services, row), linked_accounts: await countAccountsAt(services, row) }
    },
  }),

  checkIdentityProvider: operation({
    name: 'checkIdentityProvider',
    summary: 'Ask a provider for its discovery document, as a sign-in does. GitHub has none, and is not asked.',
    method: 'get',
    path: '/identity-providers/{provider}/check',
    resource: 'settings',
    kind: 'read',
    forSupport: false,
    input: z.strictObject(which),
    output: provider
      .extend({ standing: z.enum(['answers', 'unreachable', 'unfit']), problem: z.string().nullable() })
      .meta({ id: 'CheckedIdentityProvider' }),
    async act(services, { provider: id }) {
      const row = await find(services, id)
      const standing = await checkProvider(services, upstreamProviderOf(services, row))
      const problem = standing.kind === 'answers' ? null : standing.problem
      return { ...describe(services, row), standing: standing.kind, problem }
    },
  }),

  updateIdentityProvider: operation({
    name: 'updateIdentityProvider',
    summary: 'Change a provider; what is not named stays.',
    method: 'patch',
    ...about,
    ...change,
    input: z.strictObject({ ...which, ...given, client_secret: secret.optional() }),
    output: provider.extend({ warning }).meta({ id: 'ChangedIdentityProvider' }),
    async act(services, { provider: id, ...rest }) {
      const named = settingsOf(rest)
      const before = await find(services, id)
      const { issuer = before.issuer } = named
      const problem = issuer === before.issuer ? null : await examined(services, { ...before, issuer })
      return { ...describe(services, await changeIdentityProvider(services, id, named)), warning: problem }
    },
  }),

  disableIdentityProvider: operation({
    name: 'disableIdentityProvider',
    summary: 'Let no user sign in with a provider for a while; those who are signed in stay.',
    method: 'post',
    path: '/identity-providers/{provider}/disabling',
    ...change,
    input: z.strictObject(which),
    output: provider,
    async act(services, { provider: id }) {
      await setIdentityProviderDisabled(services, id, true)
      return describe(services, await find(services, id))
    },
  }),

  enableIdentityProvider: operation({
    name: 'enableIdentityProvider',
    summary: 'Let users sign in with a provider again.',
    method: 'post',
    path: '/identity-providers/{provider}/enabling',
    ...change,
    input: z.strictObject(which),
    output: provider,
    async act(services, { provider: id }) {
      await setIdentityProviderDisabled(services, id, false)
      return describe(services, await find(services, id))
    },
  }),

  deleteIdentityProvider: operation({
    name: 'deleteIdentityProvider',
    summary: 'Delete a provider. While accounts there are linked, only with `unlink`.',
    method: 'delete',
    ...about,
    ...change,
    input: z.strictObject({
      ...which,
      unlink: z
        .enum(['true', 'false'])
        .default('false')
        .describe('Unlink the accounts. Users who sign in with nothing else cannot sign in any more.'),
    }),
    output: z.object({}),
    async act(services, { provider: id, unlink }) {
      await deleteIdentityProvider(services, id, unlink === 'true')
      return {}
    },
  }),
}

async function find(services: Services, id: string): Promise<IdentityProvider> {
  const found = await findIdentityProvider(services, id)
  if (found === null) throw new Refused(`there is no provider ${id}`, 'not_found')
  return found
}

/** Why the provider cannot be reached now; null where it can. @throws Refused for one that is not what it is said to be */
async function examined(services: Services, row: IdentityProvider): Promise<string | null> {
  const standing = await checkProvider(services, upstreamProviderOf(services, row))
  if (standing.kind === 'unfit') throw new Refused(`the provider cannot be used: ${standing.problem}`)
  return standing.kind === 'answers' ? null : standing.problem
}

type Given = z.infer<z.ZodObject<typeof given>> & { client_secret?: string | null | undefined }

/** What is named, in the words of the registry. */
function settingsOf({ client_id: clientId, client_secret: clientSecret, keeps_tokens: keepsTokens, ...same }: Given) {
  const named = { ...same, clientId, clientSecret, keepsTokens }
  type Named = { [Name in keyof typeof named]?: Exclude<(typeof named)[Name], undefined> }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)) as Named
}

function describe(services: Services, row: IdentityProvider): z.infer<typeof provider> {
  const page = `${services.publicUrl}/login/with/${row.id}`
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    issuer: row.issuer,
    client_id: row.clientId,
    scopes: row.scopes,
    domains: row.domains,
    registration: row.registration,
    keeps_tokens: row.keepsTokens,
    has_secret: row.encryptedSecret !== null,
    redirect_uri: redirectUriOf(services, row),
    backchannel_logout_uri: row.kind === 'github' ? null : `${page}/backchannel-logout`,
    state: row.disabledAt === null ? 'enabled' : 'disabled',
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}
