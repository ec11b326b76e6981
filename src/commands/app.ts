import { createReadStream } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import { readConfig } from '../config.ts'
import { type Icon, LARGEST_ICON, readIcon } from '../domain/apps/app-icons.ts'
import {
  type AppRow,
  type AppSettings,
  changeApp,
  createApp,
  disableApp,
  enableApp,
  findApp,
  listApps,
  OPENID_SCOPES,
  rotateSecret,
} from '../domain/apps/apps.ts'
import type { Services } from '../domain/services.ts'
import { DEFAULT_ID_TOKEN_ALG } from '../domain/keys/signing-keys.ts'
import { downloadFile } from '../main/downloads.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print, printList } from './output.ts'

interface AppOptions {
  json?: boolean
  name?: string
  redirectUri?: string[]
  postLogoutRedirectUri?: string[]
  public?: boolean
  native?: boolean
  audience?: string
  scope?: string
  backchannelLogoutUri?: string
  eventReceiverUri?: string
  familyLifetime?: string
  familyRenewal?: string
  allowNoPkce?: boolean
  idTokenAlg?: string
  refreshIdToken?: boolean
  offline?: boolean
  applicationTokenTtl?: number
  familyIdle?: number
  familyMax?: number
  rotationGrace?: number
  rotationGraceProven?: number
  homeUri?: string
  description?: string
  icon?: string
  colour?: string
  firstTimeNotice?: boolean
}

export function addAppCommands(program: Command): void {
  const app = program.command('app').description('Register apps and look after them.')

  onPortal(
    withSettings(app.command('create <client-id>').description('Register an app; its secret is printed once.'))
      .option('--public', 'an app that can keep no secret: in the browser or on a device')
      .option('--native', 'an app on a device: loopback or its own scheme, and a visible confirmation'),
    async (services, clientId: string, options: AppOptions) => {
      if (options.name === undefined) throw new CommandRefused('an app needs a --name')
      const settings = {
        name: options.name,
        // A native app is a public client: its user could extract any secret from the device (RFC 8252 §8.5).
        isPublic: options.public === true || options.native === true,
        isNative: options.native === true,
        redirectUris: options.redirectUri ?? [],
        postLogoutRedirectUris: [],
        backchannelLogoutUri: null,
        eventReceiverUri: null,
        familyLifetime: null,
        familyRenewal: null,
        scope: OPENID_SCOPES.join(' '),
        allowNoPkce: false,
        idTokenAlg: DEFAULT_ID_TOKEN_ALG,
        refreshIdToken: false,
        allowOffline: false,
        applicationTokenTtl: null,
        familyIdle: null,
        familyMax: null,
        rotationGrace: null,
        rotationGraceProven: null,
        homeUri: null,
        description: null,
        colour: null,
        firstTimeNotice: false,
        ...settingsOf(options),
      }
      const icon = await iconOf(options)
      const { app: created, secret } = await createApp(services, clientId, settings, icon ?? null)
      if (created.allowNoPkce) warn()
      const { audience } = created
      print({ client_id: clientId, ...(secret === null ? {} : { client_secret: secret }), audience }, options.json)
    },
  )

  onPortal(app.command('list').description('List the registered apps.'), async (services, { json }: AppOptions) => {
    printList((await listApps(services)).map(describe), ['client_id', 'name', 'type', 'state', 'redirect_uris'], json)
  })

  onPortal(
    app.command('show <client-id>').description('Show everything about an app but its secret.'),
    async (services, id: string, { json }: AppOptions) => {
      print(describe(await find(services, id)), json)
    },
  )

  onPortal(
    withSettings(app.command('update <client-id>').description('Change an app; what no option names stays.')),
    async (services, id: string, options: AppOptions) => {
      const app = await find(services, id)
      const changed = await changeApp(services, app, settingsOf(options), await iconOf(options))
      if (options.allowNoPkce) warn()
      print(describe(changed), options.json)
    },
  )

  onPortal(
    app.command('disable <client-id>').description('Refuse an app and end all its families.'),
    async (services, id: string, { json }: AppOptions) => {
      print(describe(await disableApp(services, await find(services, id))), json)
    },
  )

  onPortal(
    app.command('enable <client-id>').description('Enable a disabled app; ended families stay ended.'),
    async (services, id: string, { json }: AppOptions) => {
      print(describe(await enableApp(services, await find(services, id))), json)
    },
  )

  onPortal(
    app.command('rotate-secret <client-id>').description('Make a new secret; the old one stays valid for a day.'),
    async (services, id: string, { json }: AppOptions) => {
      print({ client_id: id, client_secret: await rotateSecret(services, await find(services, id)) }, json)
    },
  )
}

function withSettings(command: Command): Command {
  return command
    .option('--name <name>', 'what people call it')
    .option('--redirect-uri <uri>', 'exact; https, or http on loopback; may be repeated', collect)
    .option('--post-logout-redirect-uri <uri>', 'where a browser may go after a logout; may be repeated', collect)
    .option('--backchannel-logout-uri <uri>', 'where it is told that a session has ended; "" for nowhere')
    .option('--event-receiver-uri <uri>', 'where it takes security events; "" for nowhere')
    .option('--audience <audience>', 'aud of its application tokens (default: <issuer>/apps/<client id>)')
    .option('--scope <scopes>', 'every scope it may ask for, separated by spaces')
    .option('--allow-no-pkce', 'for a confidential app whose library cannot do better')
    .option('--id-token-alg <alg>', 'RS256 (default for new apps), ES256 or EdDSA')
    .option('--refresh-id-token', 'a refresh gives an ID token too, without being asked')
    .option('--no-refresh-id-token', 'only a refresh with scope=openid does (default)')
    .option('--offline', 'it may have offline_access without prompt=consent: its families outlast the sign-in')
    .option('--no-offline', 'only with prompt=consent (default)')
    .option('--application-token-ttl <seconds>', 'life of its application tokens', whole)
    .option('--family-idle <seconds>', 'how long a family may go unused', whole)
    .option('--family-max <seconds>', 'how long a family may last', whole)
    .option('--family-lifetime <what>', 'what a family follows: session, browser or offline; "" as the portal says')
    .option('--family-renewal <when>', 'when a family gets a new term: never or sign-in; "" as the portal says')
    .option('--rotation-grace <seconds>', 'how long a replaced refresh token gets the current one, 0 to 300', whole)
    .option(
      '--rotation-grace-proven <seconds>',
      'the same for the immediate predecessor, when the app proves itself and has not used the current one; 0 to 7776000',
      whole,
    )
    .option(
      '--home-uri <uri>',
      'where people open it; puts it on the dashboard of everyone who may use it; "" for nowhere',
    )
    .option('--description <text>', 'what it is for, in one line, as people read it; "" for none')
    .option(
      '--icon <file-or-url>',
      'PNG, JPEG, WebP or SVG, at most 256 kB; a URL is fetched once, and the portal keeps the picture; "" for none',
    )
    .option('--colour <#rrggbb>', 'its accent; "" for none')
    .option('--first-time-notice', 'a page says once to each user what the app sees of the account')
    .option('--no-first-time-notice', 'no such page (default)')
}

/** The settings that the options name, and no others. */
function settingsOf(options: AppOptions): Partial<AppSettings> {
  const named = {
    name: options.name,
    redirectUris: options.redirectUri,
    postLogoutRedirectUris: options.postLogoutRedirectUri,
    backchannelLogoutUri: unlessEmpty(options.backchannelLogoutUri),
    eventReceiverUri: unlessEmpty(options.eventReceiverUri),
    familyLifetime: unlessEmpty(options.familyLifetime),
    familyRenewal: unlessEmpty(options.familyRenewal),
    audience: options.audience,
    scope: options.scope,
    allowNoPkce: options.allowNoPkce,
    idTokenAlg: options.idTokenAlg,
    refreshIdToken: options.refreshIdToken,
    allowOffline: options.offline,
    applicationTokenTtl: options.applicationTokenTtl,
    familyIdle: options.familyIdle,
    familyMax: options.familyMax,
    rotationGrace: options.rotationGrace,
    rotationGraceProven: options.rotationGraceProven,
    homeUri: unlessEmpty(options.homeUri),
    description: unlessEmpty(options.description?.trim()),
    colour: unlessEmpty(options.colour?.toLowerCase()),
    firstTimeNotice: options.firstTimeNotice,
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
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

/** An empty value removes a setting. */
function unlessEmpty(value: string | undefined): string | null | undefined {
  return value === '' ? null : value
}

async function find(services: Services, clientId: string): Promise<AppRow> {
  const app = await findApp(services, clientId)
  if (app === null) throw new CommandRefused(`there is no app ${clientId}`)
  return app
}

function describe(app: AppRow): Record<string, unknown> {
  return {
    client_id: app.clientId,
    name: app.name,
    type: app.isNative ? 'native' : app.isPublic ? 'public' : 'confidential',
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
    created_at: app.createdAt,
    updated_at: app.updatedAt,
  }
}

function warn(): void {
  process.stderr.write(
    'Warning: without PKCE a stolen authorization code is stopped by the client secret alone (RFC 9700 §2.1.1).\n',
  )
}

function collect(value: string, others: string[] = []): string[] {
  return [...others, value]
}

function whole(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number of seconds.')
  return Number(value)
}
