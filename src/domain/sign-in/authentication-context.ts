/** Authentication context classes: a password alone, in NIST's words (SP 800-63B), and a sign-in with two factors. */
export const ACR_VALUES = ['aal1', 'mfa'] as const
export type Acr = (typeof ACR_VALUES)[number]

export function isAcr(value: unknown): value is Acr {
  return ACR_VALUES.some((each) => each === value)
}

/** A sign-in with two factors is as good as one with one. */
export function satisfies(acr: Acr | '0', wanted: Acr): boolean {
  return acr === wanted || acr === 'mfa'
}

/** What a second step proved, in RFC 8176's words: `otp`, or `hwk` or `swk` and `user`. */
export type SecondProof = string[]

/** The methods of a sign-in to which a second proof was added (RFC 8176 §2). */
export function withSecondProof(amr: string[], proof: SecondProof): string[] {
  return [...new Set([...amr.filter((method) => method !== 'mfa'), ...proof, 'mfa'])]
}

/**
 * A sign-in by a link in a mail. RFC 8176 has no name for it: it is neither `pwd` nor, by RFC 4226 or RFC 6238, an `otp`.
 */
export const BY_MAIL = 'email'

/**
 * A sign-in at another provider. What was proved there is not known here: its own `amr` is no second factor of this portal, and
 * RFC 8176 has no name for it.
 */
export const FEDERATED = 'fed'

/**
 * The context class of a sign-in with these methods. A mailbox proves no possession of a device, so a link in a mail alone does
 * not reach `aal1` (NIST SP 800-63B §5.1.3.1). It is `0` then (OpenID Connect Core §2).
 */
export function acrOf(amr: string[]): Acr | '0' {
  if (amr.includes('mfa')) return 'mfa'
  return amr.length === 1 && amr[0] === BY_MAIL ? '0' : 'aal1'
}
