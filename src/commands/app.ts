import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { LARGEST_ICON, readIcon } from '../domain/apps/app-icons.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { downloadFile } from '../main/downloads.ts'
import { addAppRoleCommands } from './app-role.ts'
import { apiGrantsOf, type AppOptions, settingsOf, unlessEmpty, withSettings } from './app-options.ts'
import { CommandRefused } from './command-refused.ts'
import { pick, print, printList } from './output.ts'
import { listAll, type Portal, withPortal } from './portal.ts'

/** What is shown of an app, in this order. */
const SHOWN = [
  'client_id',
  'name',
  'type',
  'state',
  'redirect_uris',
  'post_logout_redirect_uris',
  'backchannel_logout_uri',
  'event_receiver_uri',
  'audience',
  'scope',
  'allow_no_pkce',
  'id_token_alg',
  'application_token_alg',
  'token_key_id',
  'refresh_id_token',
  'offline',
  'application_token_ttl',
  'family_idle',
  'family_max',
  'family_lifetime',
  'family_renewal',
  'rotation_grace',
  'rotation_grace_proven',
  'home_uri',
  'description',
  'icon',
  'colour',
  'first_time_notice',
  'third_party',
  'first_party_direct',
  'simple_api',
  'self_assignable_roles',
  'apis',
  'exchange_for',
  'auth_method',
  'jwks',
  'jwks_uri',
  'tls_subject_dn',
  'profile',
  'require_par',
  'require_signed_request',
  'require_dpop',
  'certificate_bound_tokens',
  'id_token_claims',
  'application_token_claims',
  'claims',
  'pairwise',
  'access',
  'allowed_roles',
  'allowed_groups',
  'roles',
  'created_at',
  'updated_at',
]

export function addAppCommands(program: Command): void {
  const app = program.command('app').description('Register apps and look after them.')

  withPortal(
    withSettings(app.command('create <client-id>').description('Register an app; its secret is printed once.'))
      .option('--public', 'an app that can keep no secret: in the browser or on a device')
      .option('--native', 'an app on a device: loopback or its own scheme, and a visible confirmation')
      .option('--service', 'a program without users: it gets tokens of its own (client_credentials)'),
    async (portal, id: string, options: AppOptions) => {
      if (options.name === undefined) throw new CommandRefused('an app needs a --name')
      const type = typeOf(options)
      const settings = await settingsOf(options)
      // It may have keys, for signed requests, and yet it does not authenticate.
      if (type === 'public' || type === 'native') settings.auth_method ??= 'none'
      const picture = await pictureOf(options)
      const apis = await apiGrantsOf(portal, { apis: {}, exchange_for: {} }, options)
      const created = await portal.perform(OPERATIONS.createApp, { client_id: id, type, ...settings, ...apis })
      await setPicture(portal, id, picture)
      if (created.allow_no_pkce) warn()
      const { client_secret: secret, token_key: tokenKey, audience } = created
      if (tokenKey !== null) warnOfSharedKey()
      const once = { ...(secret === null ? {} : { client_secret: secret }), ...(tokenKey && { token_key: tokenKey }) }
      print({ client_id: id, ...once, audience }, options.json)
    },
  )

  withPortal(app.command('list').description('List the registered apps.'), async (portal, { json }: AppOptions) => {
    const apps = await listAll(portal, OPERATIONS.listApps)
    printList(
      apps.map((each) => pick(each, SHOWN)),
      ['client_id', 'name', 'type', 'state', 'redirect_uris'],
      json,
    )
  })

  withPortal(
    app.command('show <client-id>').description('Show everything about an app but its secret.'),
    async (portal, id: string, { json }: AppOptions) => show(portal, id, json),
  )

  withPortal(
    withSettings(app.command('update <client-id>').description('Change an app; what no option names stays.')),
    async (portal, id: string, options: AppOptions) => {
      const before = await portal.perform(OPERATIONS.showApp, { client_id: id })
      const picture = await pictureOf(options)
      const change = { ...(await settingsOf(options)), ...(await apiGrantsOf(portal, before, options)) }
      const isChange = Object.values(change).some((value) => value !== undefined)
      const changed = isChange ? await portal.perform(OPERATIONS.updateApp, { client_id: id, ...change }) : null
      await setPicture(portal, id, picture)
      if (options.allowNoPkce) warn()
      const tokenKey = changed?.token_key ?? null
      if (tokenKey !== null) warnOfSharedKey()
      await show(portal, id, options.json, tokenKey === null ? {} : { token_key: tokenKey })
    },
  )

  withPortal(
    app.command('disable <client-id>').description('Refuse an app and end all its families.'),
    async (portal, id: string, { json }: AppOptions) => {
      print(pick(await portal.perform(OPERATIONS.disableApp, { client_id: id }), SHOWN), json)
    },
  )

  withPortal(
    app.command('enable <client-id>').description('Enable a disabled app; ended families stay ended.'),
    async (portal, id: string, { json }: AppOptions) => {
      print(pick(await portal.perform(OPERATIONS.enableApp, { client_id: id }), SHOWN), json)
    },
  )

  withPortal(
    app
      .command('delete <client-id>')
      .description(
        'Delete an app: its tokens are revoked, all its families end, and its client id is free an hour later.',
      ),
    async (portal, id: string, { json }: AppOptions) => {
      await portal.perform(OPERATIONS.deleteApp, { client_id: id })
      print({ client_id: id, state: 'deleted' }, json)
    },
  )

  withPortal(
    app
      .command('test-notification <client-id>')
      .description('Send an app a test of the back-channel logout, and print what it answered.')
      .option('--event', 'a test of its event receiver instead'),
    async (portal, id: string, { json, event }: AppOptions & { event?: boolean }) => {
      const kind = event === true ? 'event' : 'logout'
      print(await portal.perform(OPERATIONS.sendTestNotification, { client_id: id, kind }), json)
    },
  )

  withPortal(
    app.command('rotate-secret <client-id>').description('Make a new secret; the old one stays valid for a day.'),
    async (portal, id: string, { json }: AppOptions) => {
      const made = await portal.perform(OPERATIONS.rotateAppSecret, { client_id: id })
      print(pick(made, ['client_id', 'client_secret']), json)
    },
  )

  withPortal(
    app
      .command('rotate-token-key <client-id>')
      .description('Make a new key of HS256; tokens with the one before are valid no more.'),
    async (portal, id: string, { json }: AppOptions) => {
      const made = await portal.perform(OPERATIONS.rotateAppTokenKey, { client_id: id })
      warnOfSharedKey()
      print(pick(made, ['client_id', 'token_key']), json)
    },
  )

  addAppRoleCommands(app)
}

/** A native app is a public client: its user could extract any secret from the device (RFC 8252 §8.5). */
function typeOf({ service, native, device, public: isPublic }: AppOptions): string {
  if (service && (isPublic || native)) throw new CommandRefused('a service is a confidential app, and no device')
  if (service) return 'service'
  if (native) return 'native'
  if (isPublic) return device ? 'device' : 'public'
  return 'confidential'
}

async function show(portal: Portal, id: string, json: boolean | undefined, once: object = {}): Promise<void> {
  print({ ...pick(await portal.perform(OPERATIONS.showApp, { client_id: id }), SHOWN), ...once }, json)
}

/** The picture that `--icon` names; null for "none", undefined without the option. @throws Refused for what is no picture */
async function pictureOf({ icon }: AppOptions): Promise<Buffer | null | undefined> {
  if (icon === undefined || icon === '') return unlessEmpty(icon) as null | undefined
  const bytes = /^https?:/i.test(icon) ? await download(icon) : await readPicture(icon)
  readIcon(bytes)
  return bytes
}

async function setPicture(portal: Portal, id: string, picture: Buffer | null | undefined): Promise<void> {
  if (picture === null) await portal.perform(OPERATIONS.removeAppIcon, { client_id: id })
  else if (picture !== undefined)
    await portal.perform(OPERATIONS.setAppIcon, { client_id: id, picture: picture.toString('base64') })
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

function warnOfSharedKey(): void {
  process.stderr.write(
    'Warning: everything that can verify a token with this key can also forge one. Keep it in the back end of the app, and change the app to ES256 as soon as its library can.\n',
  )
}

function warn(): void {
  process.stderr.write(
    'Warning: without PKCE a stolen authorization code is stopped by the client secret alone (RFC 9700 §2.1.1).\n',
  )
}
