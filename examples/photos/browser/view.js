import { decodeJwt } from 'jose/jwt/decode'

const END_WORDS = {
  unknown: 'Gatehouse does not know this connection any more.',
  expired: 'The connection was not used for too long, or reached its greatest age.',
  reused: 'A refresh token was used twice. It may have been copied, so Gatehouse ended the connection to be safe.',
  revoked: 'The connection was ended: on your dashboard, by a sign-out, or by an administrator.',
  identity_disabled: 'Your account is disabled.',
  app_disabled: 'Photos is switched off at Gatehouse.',
  access_withdrawn: 'You may not use Photos any more.',
}

let shown = null

export function showSignedOut() {
  showOnly('signed-out')
}

export function showEnded(reason) {
  fill('reason', reason)
  byId('ended-words').textContent = END_WORDS[reason]
  showOnly('ended')
}

export function showConnection(connection) {
  // After a reload there is no application token for a moment, or longer while the portal is unavailable.
  if (!connection.applicationToken) return showOnly('starting')

  showTimeLeft(connection)
  if (connection === shown) return
  const claims = decodeJwt(connection.applicationToken)
  fill('who', connection.who)
  fill('fam', connection.family ?? '–')
  fill('refreshes', connection.refreshes)
  byId('claims').replaceChildren(...Object.entries(claims).map(claimRow))
  byId('dashboard').href = new URL('/dashboard', claims.iss).href
  showOnly('signed-in')
  shown = connection
}

export function showTimeLeft({ expiresAt }) {
  fill('expires-in', Math.max(0, Math.floor((expiresAt - Date.now()) / 1000)))
}

export function showProfile(profile) {
  fill('api-result', JSON.stringify(profile, null, 2))
  hook('api-result').hidden = false
}

/** Links to the source lines behind the page. */
export function showSource(excerpts) {
  byId('source').replaceChildren(...excerpts.map(excerptItem))
}

/** A sentence above everything else; empty removes it. */
export function showNotice(sentence) {
  byId('notice').textContent = sentence
  byId('notice').hidden = !sentence
}

function showOnly(id) {
  shown = null
  hook('api-result').hidden ||= id !== 'signed-in'
  for (const each of ['starting', 'signed-out', 'ended', 'signed-in']) byId(each).hidden = each !== id
}

function claimRow([name, value]) {
  const row = document.createElement('tr')
  const head = document.createElement('th')
  head.scope = 'row'
  head.textContent = name
  const cell = document.createElement('td')
  cell.textContent = typeof value === 'string' ? value : JSON.stringify(value)
  row.append(head, cell)
  return row
}

function excerptItem({ does, place, href }) {
  const link = document.createElement('a')
  link.href = href
  link.textContent = place
  const item = document.createElement('li')
  item.append(`${does}: `, link)
  return item
}

function byId(id) {
  return document.getElementById(id)
}

function hook(name) {
  return document.querySelector(`[data-testid="${name}"]`)
}

function fill(name, text) {
  hook(name).textContent = String(text)
}
