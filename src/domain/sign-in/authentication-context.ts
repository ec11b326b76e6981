/** Authentication context classes: a password alone, in NIST's words (SP 800-63B), and a sign-in with two factors. */
export const ACR_VALUES = ['aal1', 'mfa'] as const
export type Acr = (typeof ACR_VALUES)[number]

export function isAcr(value: unknown): value is Acr {
  return ACR_VALUES.some((each) => each === value)
}

/** A sign-in with two factors is as good as one with one. */
export function satisfies(acr: Acr, wanted: Acr): boolean {
  return acr === wanted || acr === 'mfa'
}

/** What a second step proved, in RFC 8176's words: `otp`, or `hwk` or `swk` and `user`. */
export type SecondProof = string[]

/** The methods of a sign-in to which a second proof was added (RFC 8176 §2). */
export function withSecondProof(amr: string[], proof: SecondProof): string[] {
  return [...new Set([...amr.filter((method) => method !== 'mfa'), ...proof, 'mfa'])]
}

/** The context class of a sign-in with these methods. */
export function acrOf(amr: string[]): Acr {
  return amr.includes('mfa') ? 'mfa' : 'aal1'
}
