import { z } from 'zod'
import { forgetOlderSecrets, type Left, rewrap } from '../domain/keys/rewrapping.ts'
import { type ListedSecret, listSecrets } from '../domain/keys/root-secrets.ts'
import { operation } from './operation.ts'

const rootSecret = z
  .object({
    id: z.string().describe('A tag of the secret, which does not tell it.'),
    state: z
      .enum(['signing', 'verifying', 'kept', 'gone'])
      .describe(
        '`signing`: everything new is made under it. `verifying`: it is set after another. `kept`: it is not set, and what was made under it stays valid. `gone`: nothing is.',
      ),
    first_signed_at: z.iso.datetime().nullable(),
    last_signed_at: z.iso.datetime().nullable(),
    rewrapped_at: z.iso.datetime().nullable().describe('Since when nothing is encrypted under it.'),
    processes: z.int().describe('Running processes that have it.'),
  })
  .meta({ id: 'RootSecret' })

const leftover = z.object({
  secret: z.string().describe('The older secret.'),
  what: z.enum([
    'refresh_tokens',
    'sign_ins',
    'trusted_browsers',
    'mailed_links',
    'recovery_codes',
    'requests_in_progress',
  ]),
  count: z.int().nullable(),
  until: z.iso.datetime().nullable().describe('When the last of them expires. Null for recovery codes, which do not.'),
  kept: z.boolean().describe('They stay valid without the older secret.'),
})

const about = { resource: 'signing-keys', forSupport: false } as const

export const ROOT_SECRET_OPERATIONS = {
  listRootSecrets: operation({
    name: 'listRootSecrets',
    summary: 'List the root secrets that there were, newest first, by a tag of each.',
    method: 'get',
    path: '/root-secrets',
    ...about,
    kind: 'read',
    input: z.strictObject({}),
    output: z.object({ items: z.array(rootSecret) }),
    async act(services) {
      return { items: (await listSecrets(services)).map(describe) }
    },
  }),

  rewrapRootSecrets: operation({
    name: 'rewrapRootSecrets',
    summary:
      'Encrypt under the first root secret what is stored under an older one, and say what else was made under those.',
    method: 'post',
    path: '/root-secrets/rewrapping',
    ...about,
    kind: 'write',
    input: z.strictObject({}),
    output: z.object({
      rewrapped: z.object({
        signing_keys: z.int(),
        lasting_secrets: z.int(),
        totp_keys: z.int(),
        provider_secrets: z.int(),
        upstream_tokens: z.int(),
        kept_keys: z.int(),
      }),
      unreadable_totp_keys: z
        .int()
        .describe('Authenticator apps that no secret opens: their users need a recovery code, or a reset.'),
      left: z.array(leftover),
      processes_on_older: z.int().describe('Running processes that make new things under an older secret.'),
      released: z.array(z.string()).describe('Secrets of which nothing is left.'),
      can_remove: z.boolean().describe('Whether the older secrets can be taken out of `GATEHOUSE_SECRET` now.'),
    }),
    async act(services) {
      const done = await rewrap(services, services.operator)
      const { signingKeys, lastingSecrets, totpKeys, providerSecrets, upstreamTokens, keptKeys } = done.rewrapped
      return {
        rewrapped: {
          signing_keys: signingKeys,
          lasting_secrets: lastingSecrets,
          totp_keys: totpKeys,
          provider_secrets: providerSecrets,
          upstream_tokens: upstreamTokens,
          kept_keys: keptKeys,
        },
        unreadable_totp_keys: done.unreadableTotpKeys,
        left: done.left.map(describeLeft),
        processes_on_older: done.processesOnOlder,
        released: done.released,
        can_remove: done.canRemove,
      }
    },
  }),

  forgetRootSecrets: operation({
    name: 'forgetRootSecrets',
    summary:
      'Give up the root secrets that are not set any more, such as one that leaked: what was made under them ends.',
    method: 'post',
    path: '/root-secrets/forgetting',
    ...about,
    kind: 'write',
    input: z.strictObject({}),
    output: z.object({ forgotten: z.array(z.string()), lost: z.array(leftover) }),
    async act(services) {
      const { forgotten, lost } = await forgetOlderSecrets(services, services.operator)
      return { forgotten, lost: lost.map(describeLeft) }
    },
  }),
}

function describe(secret: ListedSecret): z.output<typeof rootSecret> {
  return {
    id: secret.id,
    state: secret.state,
    first_signed_at: secret.firstSignedAt?.toISOString() ?? null,
    last_signed_at: secret.lastSignedAt?.toISOString() ?? null,
    rewrapped_at: secret.rewrappedAt?.toISOString() ?? null,
    processes: secret.processes,
  }
}

function describeLeft({ secret, what, count, until, isKept }: Left): z.output<typeof leftover> {
  return { secret, what, count, until: until?.toISOString() ?? null, kept: isKept }
}
