import type { Addresses } from './addresses.ts'
import type { Person } from './registry.ts'

/** What the person sees when everything runs. */
export function banner({ portal, notes, photos }: Addresses, { username, password }: Person): string {
  return `
  Gatehouse and its two demo apps are ready.

    Portal     ${portal.url}
    Notes      ${notes.url}
    Photos     ${photos.url}
    Mails      ${portal.url}/dev/outbox

    User name  ${username}
    Password   ${password}

  Open Notes first, then Photos: the second needs no sign-in.
  Ctrl-C stops everything.
`
}
