import type { Command } from 'commander'
import {
  type ApiRow,
  type ApiSettings,
  changeApi,
  createApi,
  deleteApi,
  findApi,
  listApis,
  rotateApiSecret,
} from '../domain/apps/apis.ts'
import type { Services } from '../domain/services.ts'
import { collect, keysOf, whole } from './app-options.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print, printList } from './output.ts'

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

  onPortal(
    withSettings(
      api
        .command('create <identifier-uri>')
        .description('Register an API; the secret with which it asks for introspections is printed once.'),
    ),
    async (services, identifier: string, options: ApiOptions) => {
      if (options.name === undefined) throw new CommandRefused('an API needs a --name')
      const settings: ApiSettings = {
        name: options.name,
        scopes: [],
        tokenTtl: null,
        signingAlg: 'ES256',
        authMethod: 'client_secret_basic',
        jwks: null,
        jwksUri: null,
        ...(await settingsOf(options)),
      }
      const { api: created, secret } = await createApi(services, identifier, settings)
      const credential = { client_id: created.clientId, ...(secret === null ? {} : { client_secret: secret }) }
      print({ identifier, ...credential }, options.json)
    },
  )

  onPortal(api.command('list').description('List the registered APIs.'), async (services, { json }: ApiOptions) => {
    printList((await listApis(services)).map(describe), ['identifier', 'name', 'client_id', 'scopes'], json)
  })

  onPortal(
    api.command('show <identifier-uri>').description('Show everything about an API but its secret.'),
    async (services, identifier: string, { json }: ApiOptions) => {
      print(describe(await find(services, identifier)), json)
    },
  )

  onPortal(
    withSettings(api.command('update <identifier-uri>').description('Change an API; what no option names stays.')),
    async (services, identifier: string, options: ApiOptions) => {
      const changed = await changeApi(services, await find(services, identifier), await settingsOf(options))
      print(describe(changed), options.json)
    },
  )

  onPortal(
    api.command('delete <identifier-uri>').description('Delete an API; no app gets a token for it any more.'),
    async (services, identifier: string, { json }: ApiOptions) => {
      await deleteApi(services, await find(services, identifier))
      print({ identifier, state: 'deleted' }, json)
    },
  )

  onPortal(
    api.command('rotate-secret <identifier-uri>').description('Make a new secret; the old one stays valid for a day.'),
    async (services, identifier: string, { json }: ApiOptions) => {
      const found = await find(services, identifier)
      const secret = await rotateApiSecret(services, found)
      print({ identifier, client_id: found.clientId, client_secret: secret }, json)
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

/** The settings that the options name, and no others. */
async function settingsOf(options: ApiOptions): Promise<Partial<ApiSettings>> {
  const keys = await keysOf(options)
  const hasKeys = Boolean(keys.jwks ?? keys.jwksUri)
  const named = {
    name: options.name,
    // A list in one word is taken as a list, as with the scope of an app.
    scopes: options.scope?.flatMap((scope) => scope.split(' ')),
    tokenTtl: options.tokenTtl,
    signingAlg: options.signingAlg,
    ...keys,
    authMethod: hasKeys ? 'private_key_jwt' : Object.keys(keys).length > 0 ? 'client_secret_basic' : undefined,
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
}

async function find(services: Services, identifier: string): Promise<ApiRow> {
  const api = await findApi(services, identifier)
  if (api === null) throw new CommandRefused(`there is no API ${identifier}`)
  return api
}

function describe(api: ApiRow): Record<string, unknown> {
  return {
    identifier: api.identifier,
    name: api.name,
    client_id: api.clientId,
    scopes: api.scopes,
    token_ttl: api.tokenTtl,
    signing_alg: api.signingAlg,
    auth_method: api.authMethod,
    jwks: api.jwks,
    jwks_uri: api.jwksUri,
    created_at: api.createdAt,
    updated_at: api.updatedAt,
  }
}
