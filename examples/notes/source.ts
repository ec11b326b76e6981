import { type Excerpt, findExcerpt } from '../source/excerpts.ts'

/** The code behind each page of Notes, in the order of the page. */
export const source = {
  signedOut: [
    excerpt('sign-in.ts', 'beginSignIn', 'Send the browser to the portal, with PKCE, state and nonce'),
    excerpt('sign-in.ts', 'completeSignIn', 'Check the answer, and exchange the code for tokens'),
  ],
  signedIn: [
    excerpt('connection.ts', 'refresh', 'Let parallel requests share one refresh'),
    excerpt('connection.ts', 'rotate', 'Refresh, keep the new refresh token, and read why a refresh was refused'),
    excerpt('notes-api.ts', 'showNotes', 'Verify an application token offline'),
    excerpt('revocations.ts', 'Revocations', 'Follow the revocation feed'),
    excerpt('visit.ts', 'destroySession', 'Sign out of Notes alone'),
    excerpt('visit.ts', 'signOutEverywhere', 'Sign out at the portal, and so of all apps'),
  ],
  disconnected: [
    excerpt('backchannel-logout.ts', 'createBackchannelLogout', 'Hear from the portal that a connection has ended'),
    excerpt('logout-token.ts', 'readLogoutToken', 'Verify the logout token'),
  ],
} satisfies Record<string, Excerpt[]>

function excerpt(file: string, name: string, does: string): Excerpt {
  return findExcerpt(new URL(file, import.meta.url), name, does)
}
