import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { type Icon, LARGEST_ICON, readIcon } from '../domain/apps/app-icons.ts'
import {
  type AppRow,
  changeApp,
  createApp,
  disableApp,
  enableApp,
  findApp,
  listApps,
  rotateSecret,
} from '../domain/apps/apps.ts'
import { type AppApiRow, listAppApis } from '../domain/apps/app-apis.ts'
import { DEFAULT_SETTINGS } from '../domain/apps/app-settings.ts'
import { findGroups } from '../domain/identities/groups.ts'
import type { Services } from '../domain/services.ts'
import { downloadFile } from '../main/downloads.ts'
import { addAppRoleCommands } from './app-role.ts'
import { apiGrantsOf, type AppOptions, settingsOf, unlessEmpty, withSettings } from './app-options.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print, printList } from './output.ts'

export function addAppCommands(program: Command): void {
  const app = program.command('app').description('Register apps and look after them.')

  onPortal(
    withSettings(app.command('create <client-id>').description('Register an app; its secret is printed once.'))
      .option('--public', 'an app that can keep no secret: in the browser or on a device')
      .option('--native', 'an app on a device: loopback or its own scheme, and a visible confirmation')
      .option('--service', 'a program without users: it gets tokens of its own (client_credentials)'),
    async (services, clientId: string, options: AppOptions) => {
      if (options.name === undefined) throw new CommandRefused('an app needs a --name')
      // A native app is a public client: its user could extract any secret from the device (RFC 8252 §8.5).
      const isPublic = options.public === true || options.native === true
      const isService = options.service === true
      const settings = {
        ...DEFAULT_SETTINGS,
        name: options.name,
        isPublic,
        isNative: options.native === true,
        isService,
        redirectUris: options.redirectUri ?? [],
        authMethod: isPublic ? 'none' : 'client_secret_basic',
        ...(isService ? { scope: '' } : {}),
        ...(await settingsOf(services, options)),
      }
      const icon = await iconOf(options)
      const { app: created, secret } = await createApp(
        services,
        clientId,
        settings,
        icon ?? null,
        await apiGrantsOf(services, clientId, options),
      )
      if (created.allowNoPkce) warn()
      const { audience } = created
      print({ client_id: clientId, ...(secret === null ? {} : { client_secret: secret }), audience }, options.json)
    },
  )

  onPortal(app.command('list').description('List the registered apps.'), async (services, { json }: AppOptions) => {
    const apis = Map.groupBy(await listAppApis(services), (each) => each.clientId)
    const apps = await listApps(services)
    const groups = await allowedGroupsOf(services, apps)
    const described = apps.map((each) => describe(each, apis.get(each.clientId) ?? [], groups))
    printList(described, ['client_id', 'name', 'type', 'state', 'redirect_uris'], json)
  })

  onPortal(
    app.command('show <client-id>').description('Show everything about an app but its secret.'),
    async (services, id: string, { json }: AppOptions) => {
      await show(services, await find(services, id), json)
    },
  )

  onPortal(
    withSettings(app.command('update <client-id>').description('Change an app; what no option names stays.')),
    async (services, id: string, options: AppOptions) => {
      const app = await find(services, id)
      const apis = await apiGrantsOf(services, id, options)
      const changed = await changeApp(services, app, await settingsOf(services, options), await iconOf(options), apis)
      if (options.allowNoPkce) warn()
      await show(services, changed, options.json)
    },
  )

  onPortal(
    app.command('disable <client-id>').description('Refuse an app and end all its families.'),
    async (services, id: string, { json }: AppOptions) => {
      await show(services, await disableApp(services, await find(services, id)), json)
    },
  )

  onPortal(
    app.command('enable <client-id>').description('Enable a disabled app; ended families stay ended.'),
    async (services, id: string, { json }: AppOptions) => {
      await show(services, await enableApp(services, await find(services, id)), json)
    },
  )

  onPortal(
    app.command('rotate-secret <client-id>').description('Make a new secret; the old one stays valid for a day.'),
    async (services, id: string, { json }: AppOptions) => {
      print({ client_id: id, client_secret: await rotateSecret(services, await find(services, id)) }, json)
    },
  )

  addAppRoleCommands(app)
}

/** The picture that `--icon` names; null for "none", undefined without the option. */
async function iconOf({ icon }: AppOptions): Promise<Icon | null | undefined> {
  if (icon === undefined || icon === '') return unlessEmpty(icon) as null | undefined
  return readIcon(/^https?:/i.test(icon) ? await download(icon) : await readPicture(icon))
}

async function download(uri: string): Promise<Buffer<ArrayBuffer>> {
  const outcome = await downloadFile(readConfig(process.env, { makeSecret: false }), uri, LARGEST_ICON)
  if (outcome.kind === 'failed') throw new CommandRefused(`the icon ${uri}: ${outcome.problem}`)
  return outcome.bytes
}

/** Reads one byte more than an icon may have, so that a large file is refused without being read. */
async function readPicture(file: string): Promise<Buffer<ArrayBuffer>> {
  try {
    return Buffer.concat(await createReadStream(file, { end: LARGEST_ICON }).toArray())
  } catch (error) {
    throw new CommandRefused(`the icon ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

async function find(services: Services, clientId: string): Promise<AppRow> {
  const app = await findApp(services, clientId)
  if (app === null) throw new CommandRefused(`there is no app ${clientId}`)
  return app
}

async function show(services: Services, app: AppRow, json: boolean | undefined): Promise<void> {
  print(describe(app, await listAppApis(services, app.clientId), await allowedGroupsOf(services, [app])), json)
}

/** The names of the groups that these apps let in, by id. */
async function allowedGroupsOf(services: Services, apps: AppRow[]): Promise<Map<string, string>> {
  const groups = await findGroups(services, [...new Set(apps.flatMap(({ allowedGroups }) => allowedGroups))])
  return new Map(groups.map(({ id, name }) => [id, name]))
}

function describe(app: AppRow, apis: AppApiRow[], groups: Map<string, string>): Record<string, unknown> {
  const ofGrant = (kind: AppApiRow['kind']) =>
    Object.fromEntries(apis.filter((each) => each.kind === kind).map((each) => [each.identifier, each.scopes]))
  return {
    client_id: app.clientId,
    name: app.name,
    type: typeOf(app),
    state: app.disabledAt === null ? 'enabled' : 'disabled',
    redirect_uris: app.redirectUris,
    post_logout_redirect_uris: app.postLogoutRedirectUris,
    backchannel_logout_uri: app.backchannelLogoutUri,
    event_receiver_uri: app.eventReceiverUri,
    audience: app.audience,
    scope: app.scope,
    allow_no_pkce: app.allowNoPkce,
    id_token_alg: app.idTokenAlg,
    refresh_id_token: app.refreshIdToken,
    offline: app.allowOffline,
    application_token_ttl: app.applicationTokenTtl,
    family_idle: app.familyIdle,
    family_max: app.familyMax,
    family_lifetime: app.familyLifetime,
    family_renewal: app.familyRenewal,
    rotation_grace: app.rotationGrace,
    rotation_grace_proven: app.rotationGraceProven,
    home_uri: app.homeUri,
    description: app.description,
    icon: app.icon,
    colour: app.colour,
    first_time_notice: app.firstTimeNotice,
    third_party: app.isThirdParty,
    apis: ofGrant('request'),
    exchange_for: ofGrant('exchange'),
    auth_method: app.authMethod,
    jwks: app.jwks,
    jwks_uri: app.jwksUri,
    tls_subject_dn: app.tlsSubjectDn,
    profile: app.securityProfile,
    require_par: app.requirePar,
    require_signed_request: app.requireSignedRequest,
    require_dpop: app.requireDpop,
    certificate_bound_tokens: app.bindCertificate,
    id_token_claims: app.idTokenClaims,
    application_token_claims: app.applicationTokenClaims,
    claims: app.attributeClaims,
    pairwise: app.isPairwise,
    access: app.access,
    allowed_roles: app.allowedRoles,
    allowed_groups: app.allowedGroups.map((id) => groups.get(id) ?? id),
    roles: app.roles,
    created_at: app.createdAt,
    updated_at: app.updatedAt,
  }
}

function typeOf({ isService, isDevice, isNative, isPublic }: AppRow): string {
  if (isService) return 'service'
  if (isDevice) return 'device'
  if (isNative) return 'native'
  return isPublic ? 'public' : 'confidential'
}

function warn(): void {
  process.stderr.write(
    'Warning: without PKCE a stolen authorization code is stopped by the client secret alone (RFC 9700 §2.1.1).\n',
  )
}
