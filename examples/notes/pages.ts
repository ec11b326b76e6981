import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { Connection, End, EndReason } from './connection.ts'
import { type Excerpt, linkTo, placeOf } from '../source/excerpts.ts'
import { html } from '../source/html.ts'
import type { Html } from '../source/html.ts'
import { settings } from './settings.ts'
import { source } from './source.ts'

const END_WORDS: Record<EndReason, string> = {
  unknown: 'Gatehouse does not know this connection any more.',
  expired: 'The connection was not used for too long, or reached its greatest age.',
  reused: 'A refresh token was used twice. It may have been copied, so Gatehouse ended the connection to be safe.',
  revoked: 'The connection was ended: on your dashboard, by a sign-out, or by an administrator.',
  identity_disabled: 'Your account is disabled.',
  app_disabled: 'Notes is switched off at Gatehouse.',
  access_withdrawn: 'You may not use Notes any more.',
}

export function signedOutPage(): string {
  return page(
    'Notes',
    html`<section class="hero">
        <h1>Notes</h1>
        <p>A server-rendered app. Its tokens never reach the browser.</p>
        ${button('/sign-in', 'Sign in with Gatehouse', 'primary')}
      </section>
      ${codeBehind(source.signedOut)}`,
  )
}

export function homePage(
  connection: Connection,
  shown: { notice: string | null; apiResult: string | null },
  now = Date.now(),
): string {
  const header = decodeProtectedHeader(connection.applicationToken)
  const claims = decodeJwt(connection.applicationToken)
  const secondsLeft = Math.max(0, Math.floor((connection.expiresAt - now) / 1000))

  return page(
    `Notes of ${connection.who}`,
    html`<h1>Hello <span data-testid="who">${connection.who}</span></h1>
      ${shown.notice ? html`<p class="notice" role="alert">${shown.notice}</p>` : ''}
      <section>
        <h2>Connection</h2>
        <dl>
          <div>
            <dt>Family</dt>
            <dd><code data-testid="fam">${text(claims.fam ?? '–')}</code></dd>
          </div>
          <div>
            <dt>Application token expires in</dt>
            <dd><span data-testid="expires-in">${secondsLeft}</span> s</dd>
          </div>
          <div>
            <dt>Refreshes</dt>
            <dd data-testid="refreshes">${connection.refreshes}</dd>
          </div>
          <div>
            <dt>Last refresh</dt>
            <dd>${connection.refreshedAt?.toISOString() ?? 'not yet'}</dd>
          </div>
        </dl>
        ${button('/refresh', 'Refresh now', 'primary')}
        <p class="hint">Notes also refreshes by itself, when it needs the token and less than 30 s are left.</p>
      </section>
      <section>
        <h2>The Notes API</h2>
        <p>
          It checks the application token with the portal’s published keys and revocation feed, without asking about it.
        </p>
        ${button('/question', 'Ask the Notes API')}
        ${shown.apiResult ? html`<pre data-testid="api-result">${shown.apiResult}</pre>` : ''}
      </section>
      <section>
        <h2>Application token</h2>
        ${claimsTable('Header', header)} ${claimsTable('Claims', claims)}
      </section>
      <section>
        <h2>ID token</h2>
        ${claimsTable('Claims', decodeJwt(connection.idToken))}
      </section>
      <section class="row">
        ${button('/sign-out', 'Sign out of Notes')} ${button('/sign-out-everywhere', 'Sign out of all apps')}
        <a href="${new URL('/dashboard', settings.issuer).href}">Your dashboard at Gatehouse</a>
      </section>
      ${codeBehind(source.signedIn)}`,
  )
}

export function disconnectedPage({ reason, family }: End): string {
  return page(
    'Notes was disconnected',
    html`<section class="hero">
        <h1>Notes was disconnected</h1>
        ${
          reason === null
            ? html`<p>Gatehouse ended this connection, and told Notes at once.</p>`
            : html`<p>${END_WORDS[reason]}</p>
                <p class="hint">Reason: <code data-testid="reason">${reason}</code></p>`
        }
        ${family === null ? '' : reference(family)} ${button('/sign-in', 'Sign in again', 'primary')}
      </section>
      ${codeBehind(source.disconnected)}`,
  )
}

function reference(family: string): Html {
  const details = new URL(`/families/${encodeURIComponent(family)}`, settings.issuer).href
  return html`<p class="hint">
    Reference: <code data-testid="reference">${family}</code>. <a href="${details}">What happened, at Gatehouse</a>
  </p>`
}

export function problemPage(title: string, sentence: string): string {
  return page(
    title,
    html`<section class="hero">
      <h1>${title}</h1>
      <p>${sentence}</p>
      <p><a href="/">Back to Notes</a></p>
    </section>`,
  )
}

function page(title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <link rel="stylesheet" href="/style.css" />
        <link rel="icon" href="/icon.svg" />
      </head>
      <body>
        <header><a href="/">Notes</a> <span>confidential app</span></header>
        <main>${body}</main>
      </body>
    </html>`.markup
}

function button(action: string, name: string, kind = 'quiet'): Html {
  return html`<form method="post" action="${action}"><button class="${kind}">${name}</button></form>`
}

/** Links to the source lines behind the page. */
function codeBehind(excerpts: Excerpt[]): Html {
  const items = excerpts.map((each) => html`<li>${each.does}: <a href="${linkTo(each)}">${placeOf(each)}</a></li>`)
  return html`<section>
    <h2>What happens here</h2>
    <ul>
      ${items}
    </ul>
  </section>`
}

function claimsTable(caption: string, claims: object): Html {
  const rows = Object.entries(claims).map(
    ([name, value]) =>
      html`<tr>
        <th scope="row">${name}</th>
        <td>${text(value)}</td>
      </tr>`,
  )
  return html`<table>
    <caption>
      ${caption}
    </caption>
    <tbody>
      ${rows}
    </tbody>
  </table>`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
