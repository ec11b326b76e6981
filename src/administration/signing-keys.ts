import { z } from 'zod'
import { Refused } from '../domain/refused.ts'
import { awaitReloads } from '../domain/keys/reloads.ts'
import type { ListedKey } from '../domain/keys/signing-keys.ts'
import { operation } from './operation.ts'

const signingKey = z
  .object({
    kid: z.string(),
    alg: z.string(),
    state: z
      .enum(['next', 'signing', 'retiring', 'retired', 'revoked'])
      .describe(
        '`next`: published, signs later. `retiring`: replaced, its last tokens are valid. `retired`: they have expired. `revoked`: nothing it signed is valid.',
      ),
    created_at: z.iso.datetime(),
    signs_from: z.iso.datetime(),
    tokens_until: z.iso
      .datetime()
      .nullable()
      .describe('When the last token that it signed expires, once it is replaced.'),
    rotates_at: z.iso
      .datetime()
      .nullable()
      .describe('When `KEY_ROTATION` publishes the key after it. Null once that is published, and without a schedule.'),
    revoked_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'SigningKey' })

const about = { resource: 'signing-keys', forSupport: false } as const

export const SIGNING_KEY_OPERATIONS = {
  listSigningKeys: operation({
    name: 'listSigningKeys',
    summary: 'List the signing keys, newest first.',
    method: 'get',
    path: '/signing-keys',
    ...about,
    kind: 'read',
    input: z.strictObject({}),
    output: z.object({ items: z.array(signingKey) }),
    async act(services) {
      return { items: (await services.keys.list(services.policy.keyRotation)).map(describe) }
    },
  }),

  rotateSigningKeys: operation({
    name: 'rotateSigningKeys',
    summary: 'Publish the next keys; they sign once every cache has them, or from a later time on.',
    method: 'post',
    path: '/signing-keys/rotation',
    ...about,
    kind: 'write',
    status: 201,
    input: z.strictObject({
      signs_from: z.iso
        .datetime({ offset: true })
        .optional()
        .describe('From when on they sign: from 15 minutes to a year from now.'),
    }),
    output: z.object({ items: z.array(signingKey) }),
    async act(services, { signs_from: signsFrom }) {
      const made = await services.keys.rotate(services.operator, signsFrom === undefined ? null : new Date(signsFrom))
      const kids = new Set(made.map(({ kid }) => kid))
      return {
        items: (await services.keys.list(services.policy.keyRotation)).filter(({ kid }) => kids.has(kid)).map(describe),
      }
    },
  }),

  revokeSigningKey: operation({
    name: 'revokeSigningKey',
    summary:
      'Revoke a compromised key: nothing that it signed is valid any more, and a new key signs at once. Answered when every running process knows it, after five seconds at most.',
    method: 'post',
    path: '/signing-keys/{kid}/revocation',
    ...about,
    kind: 'write',
    input: z.strictObject({ kid: z.string().min(1).max(100) }),
    output: z.object({
      kid: z.string(),
      state: z.literal('revoked'),
      replaced_by: z.string().nullable().describe('The key that was made in its place.'),
      signs_from: z.iso.datetime().nullable(),
      unconfirmed_processes: z
        .int()
        .describe('Running processes that have not confirmed within five seconds that they know it; usually 0.'),
    }),
    async act(services, { kid }) {
      const revocation = await services.keys.revoke(kid, services.operator)
      if (revocation.kind !== 'revoked')
        throw revocation.kind === 'unknown'
          ? new Refused(`there is no key ${kid}`, 'not_found')
          : new Refused(`${kid} was revoked before`, 'conflict')
      const { replacement, signsFrom } = revocation
      return {
        kid,
        state: 'revoked' as const,
        replaced_by: replacement,
        signs_from: signsFrom?.toISOString() ?? null,
        unconfirmed_processes: await awaitReloads(services),
      }
    },
  }),
}

function describe(key: ListedKey): z.output<typeof signingKey> {
  return {
    kid: key.kid,
    alg: key.alg,
    state: key.state,
    created_at: key.createdAt.toISOString(),
    signs_from: key.signsFrom.toISOString(),
    tokens_until: key.tokensUntil?.toISOString() ?? null,
    rotates_at: key.rotatesAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  }
}
