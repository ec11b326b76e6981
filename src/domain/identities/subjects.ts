import { createHmac, type KeyObject } from 'node:crypto'
import type { AppRow } from '../../storage/apps.ts'

/**
 * The `sub` of an identity in an app: its id, or for an app with pairwise subjects (OpenID Connect Core §8.1) an HMAC of it and
 * of the sector, the host of the app's redirect URIs. Apps of one host agree on it; others cannot compare.
 * @param sectorUri null for an app without pairwise subjects
 */
export function subjectOf(
  { subjectSalt }: { subjectSalt: KeyObject },
  identityId: string,
  sectorUri: string | null,
): string {
  if (sectorUri === null) return identityId
  return createHmac('sha256', subjectSalt)
    .update(`${hostOf(sectorUri)} ${identityId}`)
    .digest('base64url')
}

/** A redirect URI of an app with pairwise subjects, all of which have one host; null for any other app. */
export function sectorUriOf({ isPairwise, redirectUris }: Pick<AppRow, 'isPairwise' | 'redirectUris'>): string | null {
  return isPairwise ? (redirectUris[0] ?? null) : null
}

/** The `sub` of an identity in an app. */
export function subjectIn(
  services: { subjectSalt: KeyObject },
  app: Pick<AppRow, 'isPairwise' | 'redirectUris'>,
  identityId: string,
): string {
  return subjectOf(services, identityId, sectorUriOf(app))
}

/** The sector of an app; null for one without pairwise subjects. */
export function sectorOf(app: Pick<AppRow, 'isPairwise' | 'redirectUris'>): string | null {
  const uri = sectorUriOf(app)
  return uri === null ? null : hostOf(uri)
}

function hostOf(uri: string): string {
  return new URL(uri).hostname
}
