import type Provider from 'oidc-provider'
import type { Client } from 'oidc-provider'
import type { Portal } from '../domain/portal.ts'
import { verifiesWith } from '../domain/signing-keys.ts'

interface IdToken {
  header: Record<string, unknown>
  payload: Record<string, unknown>
}

/**
 * An app shows an ID token when it signs somebody out, and it may be months old (RP-Initiated Logout 1.0 §2): the library
 * forgives that it has expired, but knows no key that is not published any more.
 */
export function acceptOldHints(provider: Provider, portal: Portal): void {
  const { IdToken } = provider
  const validate = IdToken.validate.bind(IdToken)
  IdToken.validate = async (hint, client) => readOldHint(portal, hint, client) ?? validate(hint, client)
}

/** Null for anything but an ID token that we have signed for this app, with whatever key. */
function readOldHint(portal: Portal, hint: string, client: Client): IdToken | null {
  const parts = hint.split('.')
  if (parts.length !== 3) return null
  const [headerPart, payloadPart, signature] = parts as [string, string, string]
  const header = objectIn(headerPart)
  const key = portal.keys.findAny(String(header['kid']))
  if (key === null || key.alg !== header['alg'] || key.alg !== client.app.idTokenAlg) return null
  const raw = Buffer.from(signature, 'base64url')
  // Decoding forgives padding and spare bits; a token has one spelling.
  if (raw.toString('base64url') !== signature) return null
  if (!verifiesWith(key, `${headerPart}.${payloadPart}`, raw)) return null

  const payload = objectIn(payloadPart)
  const isTheirs = payload['iss'] === portal.publicUrl && payload['aud'] === client.clientId
  return isTheirs && typeof payload['sub'] === 'string' ? { header, payload } : null
}

/** @throws SyntaxError, which the library answers as it answers any hint that is none */
function objectIn(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
}
