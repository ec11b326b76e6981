import { z } from 'zod'
import { importIdentities } from '../domain/accounts/imports.ts'
import type { Profile } from '../domain/identities/profiles.ts'
import { operation } from './operation.ts'

/** The most identities of one request. */
export const MOST_IMPORTED = 500

const imported = z
  .strictObject({
    username: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('Left out, a new identity gets one that is derived from its e-mail address.'),
    email: z.string().min(1).max(300),
    email_verified: z.boolean().optional().describe('The address is known to be theirs.'),
    name: z.string().max(1000).optional(),
    given_name: z.string().max(1000).optional(),
    family_name: z.string().max(1000).optional(),
    nickname: z.string().max(1000).optional(),
    picture: z.string().max(2000).optional(),
    phone_number: z.string().max(200).optional(),
    roles: z.array(z.string().max(64)).max(100).optional().describe('Replace the assigned roles in an update.'),
    groups: z.array(z.string().min(1).max(200)).max(100).optional().describe('Names or ids; added in an update.'),
    attributes: z.record(z.string().max(200), z.string().max(2000)).optional().describe('Added in an update.'),
    password_hash: z
      .string()
      .max(1000)
      .optional()
      .describe(
        'Of a new identity: Argon2, bcrypt, scrypt, PBKDF2 or Firebase scrypt; the first sign-in replaces it. Without it the password is chosen by a reset.',
      ),
    totp_secrets: z
      .array(z.string().max(200))
      .max(20)
      .optional()
      .describe('Of a new identity: the keys of its authenticator apps (TOTP) in Base32.'),
    created_at: z.iso.datetime({ offset: true }).optional().describe('Of a new identity.'),
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
      leave_out: z
        .boolean()
        .default(false)
        .describe('Leave out what cannot be stored of an identity, and say so; else it refuses the identity.'),
    }),
    output: z
      .object({
        results: z
          .array(
            z.object({
              outcome: z.enum(OUTCOMES),
              id: z.uuid().nullable(),
              problems: z.array(z.object({ field: z.string(), problem: z.string() })),
              left_out: z
                .array(z.object({ field: z.string(), problem: z.string() }))
                .describe('What of the identity was not imported, and why; only with leave_out.'),
            }),
          )
          .describe('One for each identity, in their order.'),
      })
      .meta({ id: 'IdentityImport' }),
    async act(services, { identities, update, dry_run: dryRun, leave_out: leavesOut }) {
      const given = identities.map((each) => ({
        username: each.username,
        email: each.email,
        emailVerified: each.email_verified ?? false,
        profile: profileIn(each),
        roles: each.roles,
        groups: each.groups,
        attributes: each.attributes,
        passwordHash: each.password_hash,
        totpSecrets: each.totp_secrets ?? [],
        isDisabled: each.disabled ?? false,
        createdAt: each.created_at === undefined ? undefined : new Date(each.created_at),
      }))
      const outcomes = await importIdentities(services, given, { update, dryRun, leavesOut })
      return {
        results: outcomes.map(({ kind, id, problems, leftOut }) => ({
          outcome: kind,
          id,
          problems,
          left_out: leftOut,
        })),
      }
    },
  }),
}

const NAMES = ['name', 'given_name', 'family_name', 'nickname', 'picture', 'phone_number'] as const

function profileIn(row: ImportedRow): Partial<Profile> {
  return Object.fromEntries(NAMES.flatMap((name) => (row[name] === undefined ? [] : [[name, row[name]]])))
}
