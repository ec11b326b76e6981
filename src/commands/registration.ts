import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { CommandRefused } from './command-refused.ts'
import { print } from './output.ts'
import { withPortal } from './portal.ts'

interface Options {
  json?: boolean
  allowDomain?: string[]
  allowAll?: boolean
}

export function addRegistrationCommands(program: Command): void {
  const registration = program.command('registration').description('Who may create an account.')

  withPortal(
    registration.command('show').description('Show who may create an account.'),
    async (portal, { json }: Options) => {
      print(await portal.perform(OPERATIONS.showRegistration, {}), json)
    },
  )

  withPortal(
    registration
      .command('update')
      .description('Set the domains whose e-mail addresses may register while registration is open.')
      .option(
        '--allow-domain <domain...>',
        'example.com, or *.example.com for its subdomains; replaces those of before',
      )
      .option('--allow-all', 'let every address register'),
    async (portal, { json, allowDomain, allowAll = false }: Options) => {
      if ((allowDomain !== undefined) === allowAll) throw new CommandRefused('use either --allow-domain or --allow-all')
      print(await portal.perform(OPERATIONS.updateRegistration, { allowed_domains: allowDomain ?? [] }), json)
    },
  )
}
