import { BY_MAIL, FEDERATED } from './authentication-context.ts'

/** What a user has proved in a sign-in, in the words that the audit event keeps. */
export type SignInMethod = 'password' | 'mail-link' | 'provider' | 'app' | 'recovery-code' | 'passkey'

/**
 * The methods of a sign-in whose `amr` is all that is known of it. RFC 8176 has one word for every one-time password, so a
 * recovery code reads as an authenticator app here.
 */
export function methodsOf(amr: string[]): SignInMethod[] {
  const has = (...values: string[]) => values.some((value) => amr.includes(value))
  return [
    ...(has('pwd') ? (['password'] as const) : []),
    ...(has(BY_MAIL) ? (['mail-link'] as const) : []),
    ...(has(FEDERATED) ? (['provider'] as const) : []),
    ...(has('otp') ? (['app'] as const) : []),
    ...(has('hwk', 'swk') ? (['passkey'] as const) : []),
  ]
}

/** A sign-in as its audit event keeps it. */
export interface SignInDetail {
  /** From a browser that was not known, of an identity that had known ones. */
  isUnfamiliar: boolean
  /** By a user who was signed in, in the same browser. */
  isAgain: boolean
  /** In the order in which they were proved; empty for events of before they were kept. */
  methods: SignInMethod[]
  /** The name of the other provider, then. */
  provider: string | null
}

/** The detail of an audit event: "unfamiliar password+app", "provider+app by Google". */
export function writeSignInDetail({ isUnfamiliar, isAgain, methods, provider }: SignInDetail): string {
  return [
    ...(isUnfamiliar ? ['unfamiliar'] : []),
    ...(isAgain ? ['again'] : []),
    methods.join('+'),
    ...(provider === null ? [] : [BY + provider]),
  ]
    .join(' ')
    .trim()
}

const BY = 'by '

export function readSignInDetail(detail: string | null): SignInDetail {
  // The name may hold any word.
  const [, known = '', provider = null] = /^(.*?)(?: by (.*))?$/s.exec(detail ?? '') ?? []
  const words = known.split(' ')
  const methods = words.flatMap((word) => word.split('+')).filter((word) => (METHODS as string[]).includes(word))
  return {
    isUnfamiliar: words.includes('unfamiliar'),
    isAgain: words.includes('again'),
    methods: methods as SignInMethod[],
    provider,
  }
}

const METHODS: SignInMethod[] = ['password', 'mail-link', 'provider', 'app', 'recovery-code', 'passkey']
