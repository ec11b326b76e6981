import { z } from 'zod'
import { importIdentities } from '../domain/accounts/imports.ts'
import { operation } from './operation.ts'

/** The most identities of one request. */
export const MOST_IMPORTED = 500

const imported = z
  .strictObject({
    username: z.string().min(1).max(200),
    email: z.string().min(1).max(300),
    email_verified: z.boolean().optional().describe('The address is known to be theirs.'),
    name: z.string().max(1000).optional(),
    roles: z.array(z.string().max(64)).max(100).optional().describe('Replace the assigned roles in an update.'),
    groups: z.array(z.string().min(1).max(200)).max(100).optional().describe('Names or ids; added in an update.'),
    attributes: z.record(z.string().max(200), z.string().max(2000)).optional().describe('Added in an update.'),
    password_hash: z
      .string()
      .max(300)
      .optional()
      .describe('Of a new identity: Argon2id, as Gatehouse makes it. Without it the password is chosen by a reset.'),
    disabled: z.boolean().optional().describe('Of a new identity.'),
  })
  .meta({ id: 'ImportedIdentity' })

export type ImportedRow = z.input<typeof imported>

const OUTCOMES = ['created', 'updated', 'unchanged', 'skipped', 'refused'] as const

export const IMPORT_OPERATIONS = {
  importIdentities: operation({
    name: 'importIdentities',
    summary: 'Create or update many identities; those that are refused do not keep the others out.',
    method: 'post',
    path: '/identity-imports',
    resource: 'identities',
    kind: 'write',
    forSupport: false,
    input: z.strictObject({
      identities: z.array(imported).min(1).max(MOST_IMPORTED),
      update: z.boolean().default(false).describe('Change those that exist; else they are skipped.'),
      dry_run: z.boolean().default(false).describe('Only say what would be done.'),
    }),
    output: z
      .object({
        results: z
          .array(
            z.object({
              outcome: z.enum(OUTCOMES),
              id: z.uuid().nullable(),
              problems: z.array(z.object({ field: z.string(), problem: z.string() })),
            }),
          )
          .describe('One for each identity, in their order.'),
      })
      .meta({ id: 'IdentityImport' }),
    async act(services, { identities, update, dry_run: dryRun }) {
      const given = identities.map((each) => ({
        username: each.username,
        email: each.email,
        emailVerified: each.email_verified ?? false,
        name: each.name,
        roles: each.roles,
        groups: each.groups,
        attributes: each.attributes,
        passwordHash: each.password_hash,
        isDisabled: each.disabled ?? false,
      }))
      const outcomes = await importIdentities(services, given, { update, dryRun })
      return { results: outcomes.map(({ kind, id, problems }) => ({ outcome: kind, id, problems })) }
    },
  }),
}
