import type { Addresses } from './addresses.ts'

const HARMLESS = ['PATH', 'SystemRoot', 'NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS']

/** What the portal gets: everything we were given, and where it is. */
export function portalEnvironment({ portal }: Addresses): NodeJS.ProcessEnv {
  return { ...process.env, PORT: String(portal.port), PUBLIC_URL: portal.url }
}

/** What an app gets. The portal's secret and its database are none of an app's business. */
export function appEnvironment({ portal, notes, photos }: Addresses): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(HARMLESS.map((name) => [name, process.env[name]])),
    ISSUER: portal.url,
    NOTES_PORT: String(notes.port),
    PHOTOS_PORT: String(photos.port),
  }
}
