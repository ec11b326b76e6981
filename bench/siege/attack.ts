import { runSlice, type VirtualClient } from '../load.ts'
import { signIn } from '../scenarios/sign-in.ts'
import type { Subject } from '../subjects/subject.ts'

/** The results of the sign-ins of one phase. */
export interface AttackOutcome {
  sign_ins_per_s: number
  /** 503 answers, and those among them without Retry-After. */
  busy: number
  busy_without_retry_after: number
  /** All other answers. */
  errors: number
  firstError: string | null
}

/** This many users who sign in at once with the right password, and again as soon as they are answered. */
export async function attack(portal: Subject, connections: number, seconds: number): Promise<AttackOutcome> {
  const { clients } = await signIn.prepare(portal, { concurrency: connections, codes: 0 })
  const tally = { signedIn: 0, busy: 0, withoutRetryAfter: 0 }
  const counting = clients.map((client): VirtualClient => ({
    next: () => client.next(),
    accept(answer) {
      if (answer.status === 503) {
        tally.busy++
        if (!/\r\nretry-after: *\S/i.test(answer.head)) tally.withoutRetryAfter++
        return true
      }
      const isSignedIn = client.accept(answer)
      if (isSignedIn) tally.signedIn++
      return isSignedIn
    },
  }))
  const { seconds: elapsed, errors, firstError } = await runSlice(portal.port, counting, seconds)
  return {
    sign_ins_per_s: tally.signedIn / elapsed,
    busy: tally.busy,
    busy_without_retry_after: tally.withoutRetryAfter,
    errors,
    firstError,
  }
}
