import type { Addresses } from './addresses.ts'
import type { Person } from './registry.ts'

/** What the demo prints when everything runs. */
export function banner(
  { portal, notes, photos }: Addresses,
  { username, password }: Person,
  firstLink: string | null,
): string {
  return `
  Gatehouse and its two demo apps are ready.

    Portal     ${portal.url}
    Notes      ${notes.url}
    Photos     ${photos.url}
    Mails      ${portal.url}/dev/outbox

    User name  ${username}
    Password   ${password}

  Try this:

    1. Open Notes and sign in. Then sign in to Photos: it asks nothing.
    2. Look at "What happens here" on their pages: it leads to the lines of code.
    3. Remove Notes on the dashboard, and reload Notes. It was told at once, and leads to the reason.
    4. Remove Photos too, and choose "Refresh now" there. It finds out at its next refresh.
    5. Connect an app of your own by copying one file: docs/connect-an-app.md
${firstLink === null ? '' : ADMINISTRATOR.replace('LINK', firstLink)}
  Ctrl-C stops everything.
`
}

const ADMINISTRATOR = `
  There is no administrator yet. This link makes one, once, who looks after people and apps at /admin:

    LINK
`
