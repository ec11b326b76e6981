import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Addresses } from './addresses.ts'
import { gatehouse } from './command-line.ts'
import { portalEnvironment } from './environment.ts'
import { keep, readKeepsake } from './keepsake.ts'
import { makePassword } from './password.ts'

export interface Person {
  username: string
  password: string
}

interface AppRow {
  client_id: string
  client_secret?: string
  audience: string
  redirect_uris?: string[]
  post_logout_redirect_uris?: string[]
  backchannel_logout_uri?: string | null
  home_uri?: string | null
}

/** Registers Notes, unless it is registered, and returns the settings of its server. */
export async function prepareNotes(addresses: Addresses): Promise<{ CLIENT_SECRET: string; AUDIENCE: string }> {
  const { url } = addresses.notes
  const look = ['--description', 'Write something down, and find it again', '--colour', '#b45309']
  const create = ['notes', '--name', 'Notes', ...look, '--icon', exampleFile('notes/public/icon.svg')]
  const notes = await prepareApp(addresses, create, {
    home: url,
    redirect: `${url}callback`,
    afterSignOut: url,
    logout: `${url}backchannel-logout`,
  })
  const kept = notes.client_secret === undefined ? (await readKeepsake()).notesSecret : undefined
  return { CLIENT_SECRET: kept ?? (await keepSecret(addresses, notes)), AUDIENCE: notes.audience }
}

/** Registers Photos, unless it is registered: a public client without a secret and without a server. */
export async function preparePhotos(addresses: Addresses) {
  const { url } = addresses.photos
  const look = ['--description', 'An app that lives in the browser alone', '--colour', '#5b3fd6']
  const create = ['photos', '--name', 'Photos', '--public', ...look, '--icon', exampleFile('photos/browser/icon.svg')]
  await prepareApp(addresses, create, { home: url, redirect: url, afterSignOut: url })
}

/** Makes sure that a user can sign in. @returns the user */
export async function prepareIdentity(addresses: Addresses): Promise<Person> {
  const env = portalEnvironment(addresses)
  const { username, password } = await readKeepsake()
  const taken = new Set(((await gatehouse(['user', 'list'], env)) as { username: string }[]).map((row) => row.username))

  const kept = username && password ? { username, password } : null
  if (kept && taken.has(kept.username)) return kept

  const person = kept ?? { username: freeName(taken), password: makePassword() }
  // Stored before it is used: an identity whose password is lost is worse than a password without an identity.
  await keep(person)
  const email = `${person.username}@example.test`
  await gatehouse(
    ['user', 'create', '--username', person.username, '--email', email, '--password-stdin'],
    env,
    person.password,
  )
  return person
}

/** Where the first administrator registers; null when there is an administrator. */
export async function findFirstLink(addresses: Addresses): Promise<string | null> {
  const env = portalEnvironment(addresses)
  const identities = (await gatehouse(['user', 'list'], env)) as { roles: string[]; state: string }[]
  if (identities.some(({ roles, state }) => roles.includes('admin') && state === 'enabled')) return null
  return ((await gatehouse(['admin', 'first-link'], env)) as { link: string }).link
}

function exampleFile(name: string): string {
  return join(import.meta.dirname, '..', name)
}

interface Uris {
  /** Where people open it. */
  home: string
  redirect: string
  afterSignOut: string
  /** The URI for back-channel logout. */
  logout?: string
}

/** The app, with its secret when it was just created. */
async function prepareApp(
  addresses: Addresses,
  create: string[],
  { home, redirect, afterSignOut, logout }: Uris,
): Promise<AppRow> {
  const env = portalEnvironment(addresses)
  const [id = ''] = create
  const uris = ['--home-uri', home, '--redirect-uri', redirect, '--post-logout-redirect-uri', afterSignOut]
  if (logout !== undefined) uris.push('--backchannel-logout-uri', logout)

  const apps = (await gatehouse(['app', 'list'], env)) as AppRow[]
  const known = apps.find((app) => app.client_id === id)
  if (!known) return (await gatehouse(['app', 'create', ...create, ...uris], env)) as AppRow

  // The ports may have changed.
  const isCurrent =
    known.home_uri === home &&
    isDeepStrictEqual(known.redirect_uris, [redirect]) &&
    isDeepStrictEqual(known.post_logout_redirect_uris, [afterSignOut]) &&
    (known.backchannel_logout_uri ?? undefined) === logout
  if (!isCurrent) await gatehouse(['app', 'update', id, ...uris], env)
  return known
}

/** Stores the secret that the app has just got. An app whose secret is lost gets a new one. */
async function keepSecret(addresses: Addresses, { client_id, client_secret }: AppRow): Promise<string> {
  if (client_secret === undefined) console.log('The secret of Notes is lost, so it gets a new one.')
  const command = ['app', 'rotate-secret', client_id]
  const notesSecret =
    client_secret ?? ((await gatehouse(command, portalEnvironment(addresses))) as AppRow).client_secret
  await keep({ notesSecret })
  return notesSecret as string
}

function freeName(taken: Set<string>): string {
  if (!taken.has('ada')) return 'ada'

  let number = 2
  while (taken.has(`ada${number}`)) number += 1
  console.log(`The password of ada is not in demo.json any more, so the demo makes another identity: ada${number}.`)
  return `ada${number}`
}
