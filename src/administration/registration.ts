import { z } from 'zod'
import { firstAdministratorLink } from '../domain/accounts/first-administrator.ts'
import { changeAllowedDomains, findAllowedDomains } from '../domain/identities/open-registration.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { operation } from './operation.ts'

const registration = z
  .object({
    registration: z.enum(['open', 'invited', 'closed']).describe('The setting REGISTRATION.'),
    allowed_domains: z
      .array(z.string())
      .describe(
        'The domains whose e-mail addresses may register while registration is open; all may when there are none.',
      ),
  })
  .meta({ id: 'Registration' })

const about = { path: '/settings/registration', resource: 'settings' } as const

export const REGISTRATION_OPERATIONS = {
  showRegistration: operation({
    name: 'showRegistration',
    summary: 'Show who may create an account.',
    method: 'get',
    ...about,
    kind: 'read',
    forSupport: true,
    input: z.strictObject({}),
    output: registration,
    async act(services) {
      return describe(services, await findAllowedDomains(services))
    },
  }),

  updateRegistration: operation({
    name: 'updateRegistration',
    summary: 'Set the domains whose e-mail addresses may register while registration is open.',
    method: 'patch',
    ...about,
    kind: 'write',
    forSupport: false,
    input: z.strictObject({
      allowed_domains: z
        .array(z.string().max(255))
        .max(100)
        .describe('`example.com`, or `*.example.com` for its subdomains; none lets every address register.'),
    }),
    output: registration,
    async act(services, { allowed_domains: domains }) {
      return describe(services, await changeAllowedDomains(services, domains))
    },
  }),

  createFirstAdministratorLink: operation({
    name: 'createFirstAdministratorLink',
    summary: 'Make a link with which the first administrator creates an account; it works until there is one.',
    method: 'post',
    path: '/first-administrator-link',
    resource: 'invitations',
    kind: 'write',
    forSupport: false,
    makesOperators: true,
    input: z.strictObject({}),
    output: z.object({ link: z.url() }).meta({ id: 'FirstAdministratorLink' }),
    async act(services) {
      const link = await firstAdministratorLink(services)
      if (link === null)
        throw new Refused(
          'there is an administrator already, who can invite others: gatehouse admin invite',
          'conflict',
        )
      return { link }
    },
  }),
}

function describe({ policy }: Services, domains: string[]): z.output<typeof registration> {
  return { registration: policy.registration, allowed_domains: domains }
}
