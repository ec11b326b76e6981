import { type Excerpt, findExcerpt } from '../source/excerpts.ts'

/** The code behind the page of Photos. */
export const source: Excerpt[] = [
  excerpt('sign-in.js', 'beginSignIn', 'Send the browser to the portal, with PKCE, state and nonce'),
  excerpt('sign-in.js', 'completeSignIn', 'Check the answer, and exchange the code for tokens'),
  excerpt('connection.js', 'rotate', 'Refresh, one tab at a time, and read why a refresh was refused'),
  excerpt('connection.js', 'keep', 'Keep the tokens in memory and in sessionStorage'),
  excerpt('portal.js', 'fetchProfile', 'Load the profile from the userinfo endpoint'),
  excerpt('portal.js', 'revoke', 'Sign out of Photos alone'),
  excerpt('sign-in.js', 'signOutUrl', 'Sign out at the portal, and so of all apps'),
]

function excerpt(file: string, name: string, does: string): Excerpt {
  return findExcerpt(new URL(`browser/${file}`, import.meta.url), name, does)
}
