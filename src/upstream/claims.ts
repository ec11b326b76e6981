import { UpstreamFailure } from '../domain/upstream.ts'

/** The longest subject (OpenID Connect Core §2), and the longest `sid`. */
const LONGEST_SUBJECT = 255
const LONGEST_EMAIL = 320
const LONGEST_NAME = 100

/** @throws UpstreamFailure for what names no account */
export function readSubject(claim: unknown): string {
  const subject = readText(claim, LONGEST_SUBJECT)
  if (subject === null) throw new UpstreamFailure('invalid', 'the answer names no account')
  return subject
}

export function readSid(claim: unknown): string | null {
  return readText(claim, LONGEST_SUBJECT)
}

export function readEmail(claim: unknown): string | null {
  return readText(claim, LONGEST_EMAIL)
}

/** Some providers write booleans as text. */
export function readVerified(claim: unknown): boolean {
  return claim === true || claim === 'true'
}

export function readName(claim: unknown): string | null {
  return readText(claim, LONGEST_NAME)
}

/** Text that the database can store, and a page can show; null for anything else. */
function readText(claim: unknown, longest: number): string | null {
  if (typeof claim !== 'string' || claim === '' || claim.length > longest) return null
  return claim.isWellFormed() && !/\p{Cc}/u.test(claim) ? claim : null
}
