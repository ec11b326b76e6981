import type { Queryable } from './postgres.ts'

/**
 * Takes the turn to offer a passkey in the browser of this identity session: false when the browser has one, the user wants no
 * offers, or was made one after `notSince`. Of callers that race, one gets it.
 */
export async function takePasskeyOffer(
  db: Queryable,
  identitySessionId: string,
  { now, notSince }: { now: Date; notSince: Date },
): Promise<boolean> {
  const result = await db.query({
    name: 'passkey-offer-take',
    text: `UPDATE devices d SET passkey_offered_at = $2 FROM identity_sessions s JOIN identities i ON i.id = s.identity_id
           WHERE s.id = $1 AND d.identity_id = s.identity_id AND d.hash = s.device_hash AND NOT d.has_passkey
             AND (d.passkey_offered_at IS NULL OR d.passkey_offered_at <= $3) AND NOT i.declines_passkeys`,
    values: [identitySessionId, now, notSince],
  })
  return result.rowCount === 1
}

/** Remembers that the browser of this identity session has a passkey of its user. */
export async function markPasskeyInBrowser(db: Queryable, identitySessionId: string): Promise<void> {
  await db.query({
    name: 'passkey-in-browser-mark',
    text: `UPDATE devices d SET has_passkey = true FROM identity_sessions s
           WHERE s.id = $1 AND d.identity_id = s.identity_id AND d.hash = s.device_hash AND NOT d.has_passkey`,
    values: [identitySessionId],
  })
}

/** The user wants no more offers, in any browser. */
export async function declinePasskeys(db: Queryable, identityId: string): Promise<void> {
  await db.query('UPDATE identities SET declines_passkeys = true WHERE id = $1', [identityId])
}
