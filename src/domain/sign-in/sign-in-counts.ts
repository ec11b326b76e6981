import type { SignInOutcomeCounted } from '../metrics.ts'
import type { Services } from '../services.ts'
import type { SignInMethod } from './sign-in-methods.ts'

/** Counts a sign-in or an attempt that failed, for the overview and for `/metrics`. @param methods that were proved, or tried */
export function countSignIn(
  { tally, metrics }: Services,
  outcome: SignInOutcomeCounted,
  methods: readonly SignInMethod[],
): void {
  metrics.signIns.add([outcome, methods.join('+') || 'other'])
  if (outcome === 'signed_in') tally.count('sign_in')
  if (outcome === 'refused') tally.count('failed_sign_in')
}
