import type { Addresses } from './addresses.ts'

const HARMLESS = ['PATH', 'SystemRoot', 'NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS']

/** The environment of the portal: that of this process, and its address. */
export function portalEnvironment({ portal }: Addresses): NodeJS.ProcessEnv {
  return { ...process.env, PORT: String(portal.port), PUBLIC_URL: portal.url }
}

/** The environment of an app, without the portal's secret and database. */
export function appEnvironment({ portal, notes, photos }: Addresses): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(HARMLESS.map((name) => [name, process.env[name]])),
    ISSUER: portal.url,
    NOTES_PORT: String(notes.port),
    PHOTOS_PORT: String(photos.port),
  }
}
