import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { collect, keysOf, whole } from './app-options.ts'
import { CommandRefused } from './command-refused.ts'
import { pick, print, printList } from './output.ts'
import { listAll, withPortal } from './portal.ts'

/** What is shown of an API, in this order. */
const SHOWN = [
  'identifier',
  'name',
  'client_id',
  'scopes',
  'token_ttl',
  'signing_alg',
  'auth_method',
  'jwks',
  'jwks_uri',
  'created_at',
  'updated_at',
]

interface ApiOptions {
  json?: boolean
  name?: string
  scope?: string[]
  tokenTtl?: number
  signingAlg?: string
  jwksFile?: string
  jwksUri?: string
}

export function addApiCommands(program: Command): void {
  const api = program.command('api').description('Register APIs (resource servers) and look after them.')

  withPortal(
    withSettings(
      api
        .command('create <identifier-uri>')
        .description('Register an API; the secret with which it asks for introspections is printed once.'),
    ),
    async (portal, identifier: string, options: ApiOptions) => {
      if (options.name === undefined) throw new CommandRefused('an API needs a --name')
      const given = { identifier, ...(await settingsOf(options)) }
      const { client_id, client_secret: secret } = await portal.perform(OPERATIONS.createApi, given)
      print({ identifier, client_id, ...(secret === null ? {} : { client_secret: secret }) }, options.json)
    },
  )

  withPortal(api.command('list').description('List the registered APIs.'), async (portal, { json }: ApiOptions) => {
    const apis = await listAll(portal, OPERATIONS.listApis)
    printList(
      apis.map((each) => pick(each, SHOWN)),
      ['identifier', 'name', 'client_id', 'scopes'],
      json,
    )
  })

  withPortal(
    api.command('show <identifier-uri>').description('Show everything about an API but its secret.'),
    async (portal, identifier: string, { json }: ApiOptions) => {
      print(pick(await portal.perform(OPERATIONS.showApi, { api: identifier }), SHOWN), json)
    },
  )

  withPortal(
    withSettings(api.command('update <identifier-uri>').description('Change an API; what no option names stays.')),
    async (portal, identifier: string, options: ApiOptions) => {
      const change = { api: identifier, ...(await settingsOf(options)) }
      print(pick(await portal.perform(OPERATIONS.updateApi, change), SHOWN), options.json)
    },
  )

  withPortal(
    api.command('delete <identifier-uri>').description('Delete an API; no app gets a token for it any more.'),
    async (portal, identifier: string, { json }: ApiOptions) => {
      await portal.perform(OPERATIONS.deleteApi, { api: identifier })
      print({ identifier, state: 'deleted' }, json)
    },
  )

  withPortal(
    api.command('rotate-secret <identifier-uri>').description('Make a new secret; the old one stays valid for a day.'),
    async (portal, identifier: string, { json }: ApiOptions) => {
      const made = await portal.perform(OPERATIONS.rotateApiSecret, { api: identifier })
      print(pick(made, ['identifier', 'client_id', 'client_secret']), json)
    },
  )
}

function withSettings(command: Command): Command {
  return command
    .option('--name <name>', 'what operators and users call it')
    .option('--scope <scope>', 'a scope that it knows; may be repeated', collect)
    .option('--token-ttl <seconds>', 'life of the application tokens for it', whole)
    .option('--signing-alg <alg>', 'what they are signed with: ES256 (default), RS256 or EdDSA')
    .option('--jwks-file <file>', 'its public keys, a JWK set; it authenticates with them in place of a secret')
    .option('--jwks-uri <uri>', 'where they are fetched, instead of a file; https, or http on loopback')
}

/** The settings that the options name. */
async function settingsOf(options: ApiOptions): Promise<Record<string, unknown>> {
  return {
    name: options.name,
    // A list in one word is taken as a list, as with the scope of an app.
    scopes: options.scope?.flatMap((scope) => scope.split(' ')),
    token_ttl: options.tokenTtl,
    signing_alg: options.signingAlg,
    ...(await keysOf(options)),
  }
}
