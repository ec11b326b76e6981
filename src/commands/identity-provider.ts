import { text } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { PRESETS } from '../domain/identity-providers/presets.ts'
import { collect } from './app-options.ts'
import { CommandRefused } from './command-refused.ts'
import { note, print, printList } from './output.ts'
import { withPortal } from './portal.ts'

interface Options {
  json?: boolean
  name?: string
  kind?: 'oidc' | 'github'
  issuer?: string
  clientId?: string
  clientSecretStdin?: boolean
  scope?: string[]
  domain?: string[]
  domains?: boolean
  registration?: 'never' | 'open'
  keepTokens?: boolean
  preset?: string
  tenant?: string
  unlink?: boolean
}

export function addIdentityProviderCommands(program: Command): void {
  const provider = program
    .command('identity-provider')
    .description('Other providers with which users sign in: OpenID Connect, and GitHub.')

  withPortal(
    withSettings(
      provider
        .command('create <id>')
        .description('Register a provider; the redirect URI to register there is printed.')
        .addOption(new Option('--preset <preset>', 'its name, kind and issuer are known').choices(PRESETS))
        .option('--tenant <id>', 'of Microsoft Entra')
        .addOption(new Option('--kind <kind>', 'its protocol: oidc (default) or github').choices(['oidc', 'github'])),
    ),
    async (portal, id: string, options: Options) => {
      const { preset, tenant, kind, clientId } = options
      if (clientId === undefined) throw new CommandRefused('a provider needs a --client-id')
      const given = { ...(await settingsOf(options)), id, preset, tenant, kind, client_id: clientId }
      const { warning, ...created } = await portal.perform(OPERATIONS.createIdentityProvider, given)
      warn(warning)
      print(created, options.json)
    },
  )

  withPortal(provider.command('list').description('List the providers.'), async (portal, { json }: Options) => {
    const { items } = await portal.perform(OPERATIONS.listIdentityProviders, {})
    printList(items, ['id', 'name', 'kind', 'issuer', 'domains', 'registration', 'state'], json)
  })

  withPortal(
    provider.command('show <id>').description('Show everything about a provider but its secret.'),
    async (portal, id: string, { json }: Options) => {
      print(await portal.perform(OPERATIONS.showIdentityProvider, { provider: id }), json)
    },
  )

  withPortal(
    withSettings(provider.command('update <id>').description('Change a provider; what no option names stays.')),
    async (portal, id: string, options: Options) => {
      const change = { ...(await settingsOf(options)), provider: id }
      const { warning, ...changed } = await portal.perform(OPERATIONS.updateIdentityProvider, change)
      warn(warning)
      print(changed, options.json)
    },
  )

  withPortal(
    provider
      .command('check <id>')
      .description('Ask a provider for its discovery document; exits with 1 when no user could sign in with it.'),
    async (portal, id: string, { json }: Options) => {
      const checked = await portal.perform(OPERATIONS.checkIdentityProvider, { provider: id })
      print(checked, json)
      if (checked.problem !== null) throw new CommandRefused(`${checked.standing}: ${checked.problem}`)
    },
  )

  withPortal(
    provider.command('disable <id>').description('Let no user sign in with it; those who are signed in stay.'),
    async (portal, id: string, { json }: Options) => {
      print(await portal.perform(OPERATIONS.disableIdentityProvider, { provider: id }), json)
    },
  )

  withPortal(
    provider.command('enable <id>').description('Let users sign in with it again.'),
    async (portal, id: string, { json }: Options) => {
      print(await portal.perform(OPERATIONS.enableIdentityProvider, { provider: id }), json)
    },
  )

  withPortal(
    provider
      .command('delete <id>')
      .description('Delete a provider.')
      .option('--unlink', 'also while accounts there are linked, which are unlinked then'),
    async (portal, id: string, { unlink = false, json }: Options) => {
      await portal.perform(OPERATIONS.deleteIdentityProvider, { provider: id, unlink: `${unlink}` })
      print({ id, state: 'deleted' }, json)
    },
  )
}

function withSettings(command: Command): Command {
  return command
    .option('--name <name>', 'what users call it: "Continue with <name>"')
    .option('--issuer <url>', 'its issuer; of GitHub, the address of an Enterprise Server')
    .option('--client-id <client-id>', 'what it calls this portal')
    .option('--client-secret-stdin', 'read the client secret from standard input')
    .option('--scope <scope>', 'a scope to ask for; may be repeated', collect)
    .option('--domain <domain>', 'a domain of e-mail addresses that leads to it; may be repeated', collect)
    .option('--no-domains', 'no domain leads to it any more')
    .addOption(
      new Option('--registration <who>', 'whether users without an account here get one').choices(['never', 'open']),
    )
    .option('--keep-tokens', 'keep its tokens, encrypted')
    .option('--no-keep-tokens', 'keep none')
}

/** The settings that the options name. */
async function settingsOf(options: Options) {
  const { name, issuer, clientId, clientSecretStdin, scope, domain, domains, registration, keepTokens } = options
  if (domain !== undefined && domains === false) throw new CommandRefused('use either --domain or --no-domains')
  const secret = clientSecretStdin === true ? (await text(process.stdin)).trim() : undefined
  return {
    ...(name !== undefined && { name }),
    ...(issuer !== undefined && { issuer }),
    ...(clientId !== undefined && { client_id: clientId }),
    ...(secret !== undefined && { client_secret: secret === '' ? null : secret }),
    ...(scope !== undefined && { scopes: scope.flatMap((each) => each.split(' ')) }),
    ...(domain !== undefined && { domains: domain }),
    ...(domains === false && { domains: [] }),
    ...(registration !== undefined && { registration }),
    ...(keepTokens !== undefined && { keeps_tokens: keepTokens }),
  }
}

function warn(warning: string | null): void {
  if (warning !== null) note(`the provider does not answer now: ${warning}`)
}
