import { decodeJwt } from 'jose/jwt/decode'
import * as oidc from 'openid-client'
import { explain, portal } from './portal.js'

const STORAGE_KEY = 'photos.connection'
const END_REASONS = ['unknown', 'expired', 'reused', 'revoked', 'identity_disabled', 'app_disabled', 'access_withdrawn']
const PAUSE_AFTER_FAILURE = 5_000

/** Photos' side of one family, or null. Never changed in place: another object means that something changed. */
export let connection = null

let refreshing = null
let pausedUntil = 0

// A duplicated tab starts with a copy of this tab's storage, and so with the same family: it gets each new token here.
const siblings = new BroadcastChannel('photos.connection')
siblings.addEventListener('message', ({ data: news }) => {
  if (news.family && news.family === connection?.family && news.refreshes > connection.refreshes) keep(news)
})

export function openConnection(answer, { who, subject }) {
  if (!answer.refresh_token || !answer.id_token) throw new Error('the portal gave no refresh token or no ID token')

  const { fam: family } = decodeJwt(answer.access_token)
  keep({ family, who, subject, refreshes: 0, ...tokensOf(answer) })
}

/** Restores what this tab held before a reload. It still needs a refresh to get an application token. */
export function restoreConnection() {
  const stored = sessionStorage.getItem(STORAGE_KEY)
  if (stored) connection = JSON.parse(stored)
  return connection
}

/** Forgets the family, and returns its tokens. */
export async function endConnection() {
  // A refresh in progress is about to replace the refresh token, and the caller may want to revoke the latest.
  await refreshing
  const ended = connection
  forget()
  return ended
}

/** Refreshes when the application token is about to expire; null when there was nothing to do. */
export async function keepFresh() {
  return connection && isStale(connection) && Date.now() >= pausedUntil ? refresh() : null
}

/** Exchanges the refresh token for the next one and a new application token (refresh token rotation). */
export function refresh() {
  refreshing ??= rotate().finally(() => {
    refreshing = null
  })
  return refreshing
}

async function rotate() {
  const known = connection
  if (!known) return { kind: 'failed', sentence: 'You are not signed in.' }

  // A refresh token can be used once, so the tabs of one family take turns.
  return navigator.locks.request(`photos.family.${known.family}`, async () => {
    // Meanwhile the tab before this one may have passed on its tokens. If its message is late, the portal treats this refresh
    // as an honest duplicate and returns the same successor.
    if (connection !== known) return { kind: 'fresh' }

    try {
      const answer = await oidc.refreshTokenGrant(await portal(), known.refreshToken)
      keep({ ...known, ...tokensOf(answer, known), refreshes: known.refreshes + 1 })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel stays within its origin
      siblings.postMessage(connection)
      return { kind: 'fresh' }
    } catch (problem) {
      if (problem instanceof oidc.ResponseBodyError && problem.error === 'invalid_grant') {
        forget()
        return { kind: 'ended', reason: END_REASONS.find((reason) => reason === problem.cause.reason) ?? 'unknown' }
      }
      // Any other error says nothing about the family, so the tokens stay. If only the answer was lost, the portal repeats it
      // to the same refresh token for a short while.
      console.warn(problem)
      pausedUntil = Date.now() + PAUSE_AFTER_FAILURE
      return { kind: 'failed', sentence: explain(problem) }
    }
  })
}

function isStale({ applicationToken, expiresAt, lifetime }) {
  // 30 s before expiry; a very short-lived token is refreshed after half its life, or refreshes would never pause.
  const margin = Math.min(30, lifetime / 2)
  return !applicationToken || expiresAt - Date.now() < margin * 1000
}

function tokensOf(answer, before = {}) {
  const lifetime = answer.expires_in ?? 60
  return {
    applicationToken: answer.access_token,
    lifetime,
    expiresAt: Date.now() + lifetime * 1000,
    refreshToken: answer.refresh_token ?? before.refreshToken,
    idToken: answer.id_token ?? before.idToken,
  }
}

// The application token is in memory only. The refresh token is in sessionStorage, so that a reload does not sign the user out.
// The price: an injected script (XSS) could read it there. In memory, such a script could use it too, but not steal it as
// easily. Three things limit the damage: the strict CSP, reuse detection, which ends the family when a stolen copy and this tab
// both refresh, and sessionStorage itself, which ends with the tab, unlike localStorage. An app that needs more keeps its
// tokens on a server, as Notes does.
function keep(next) {
  connection = next
  const { family, who, subject, refreshToken, idToken, refreshes } = next
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ family, who, subject, refreshToken, idToken, refreshes }))
}

function forget() {
  connection = null
  sessionStorage.removeItem(STORAGE_KEY)
}
