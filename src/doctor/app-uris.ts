import type { AppRow } from '../domain/apps/apps.ts'

/** What a URI of an app is for. */
export type UriUse = keyof typeof USES

/** A URI of an app, with what sets it. */
export interface AppUri {
  app: AppRow
  use: UriUse
  uri: string
  url: URL
}

const USES = {
  redirect: { words: 'redirect URI', option: '--redirect-uri', of: (app: AppRow) => app.redirectUris },
  'post-logout': {
    words: 'post-logout redirect URI',
    option: '--post-logout-redirect-uri',
    of: (app: AppRow) => app.postLogoutRedirectUris,
  },
  logout: {
    words: 'back-channel logout URI',
    option: '--backchannel-logout-uri',
    of: (app: AppRow) => [app.backchannelLogoutUri],
  },
  events: { words: 'event receiver URI', option: '--event-receiver-uri', of: (app: AppRow) => [app.eventReceiverUri] },
  home: { words: 'home URI', option: '--home-uri', of: (app: AppRow) => [app.homeUri] },
  keys: { words: 'JWKS URI', option: '--jwks-uri', of: (app: AppRow) => [app.jwksUri] },
} as const

/** The http and https URIs of an app. */
export function urisOf(app: AppRow): AppUri[] {
  return (Object.keys(USES) as UriUse[]).flatMap((use) =>
    USES[use].of(app).flatMap((uri) => {
      const url = URL.parse(uri ?? '')
      return uri !== null && url !== null && /^https?:$/.test(url.protocol) ? [{ app, use, uri, url }] : []
    }),
  )
}

/** Whether the portal itself connects to it. */
export function isAsked({ use }: AppUri): boolean {
  return use === 'logout' || use === 'events' || use === 'keys'
}

export function inWords({ app, use, uri }: AppUri): string {
  return `The ${USES[use].words} of ${app.clientId}, ${uri},`
}

/** The command that puts another URI in the place of this one. It names all, because it replaces all. */
export function commandFor({ app, use, uri }: AppUri, other: string): string {
  const { option, of } = USES[use]
  const uris = of(app).map((each) => (each === uri ? other : each))
  return `gatehouse app update ${app.clientId} ${option} ${uris.map((each) => quoted(each ?? '')).join(' ')}`
}

function quoted(word: string): string {
  return /^[\w:/.…@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}
