import type { Services } from '../../src/domain/services.ts'
import { type Connection, connect, refresh, successorIn } from '../../src/testing/portal/connections.ts'
import type { Rotation } from '../../src/domain/families/families.ts'
import type { Seeded } from '../../src/testing/portal/seeded.ts'

/**
 * How an app refreshes. `flock`: without single flight, every call that finds the application token expired refreshes, up to 20
 * at once. `shared`: two processes that read one store. `stale`: two processes that keep what they read for up to 20 seconds.
 */
export const KINDS = ['single', 'flock', 'shared', 'stale'] as const
export type Kind = (typeof KINDS)[number]

/** The outcome of an honest client. */
export interface Life {
  refreshes: number
  /** Families that ended without a thief (false positives of reuse detection). */
  ended: number
  /** Of those, the app returned with a token whose answer it had lost, after its window. */
  excluded: number
}

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

/** How long a process uses stale tokens (seconds): less than the grace window. */
const COPY_AGE = 20

/** Percentage of answers that never reach the app: a lost connection, or a restart before the answer was stored. */
const LOST = 5

/** A client with a clock of its own, because no other shares its family. */
export async function live(
  services: Services,
  identityId: string,
  clientId: string,
  kind: Kind,
  random: Seeded,
  refreshes: number,
): Promise<Life> {
  let now = services.clock().getTime()
  const own = { ...services, clock: () => new Date(now) }
  const pass = (seconds: number) => void (now += seconds * 1000)
  const life: Life = { refreshes: 0, ended: 0, excluded: 0 }
  let { connection, store, copies, lostAt } = await signIn()

  while (life.refreshes < refreshes) {
    pass(pauseOf(random))
    await act()
  }
  return life

  async function signIn() {
    const opened: Connection = await connect(own, identityId, clientId)
    return {
      connection: opened,
      store: opened.refreshToken,
      copies: new Map<number, Copy>(),
      lostAt: null as number | null,
    }
  }

  /** Everything that one need of a new application token causes. */
  async function act(): Promise<void> {
    if (kind === 'flock') {
      const [before, waking, beganAt] = [store, lostAt !== null, now]
      await burst(Array.from({ length: 1 + random.below(20) }, () => store))
      // A call that began before the answers arrived still has the old token; others use the new one.
      if (waking || random.chance(70)) return
      pass(random.below(5))
      await burst([store])
      pass(random.below(5))
      // Unless the network has delayed it for longer than an app waits.
      return now - beganAt < COPY_AGE * 1000 ? burst([before]) : undefined
    }
    const processes = kind === 'single' ? [0] : random.pick([[0], [1], [0, 1], [1, 0]])
    if (kind !== 'stale') return burst(processes.map(() => store))
    for (const process of processes) {
      await burst([readCopy(process)])
      pass(random.below(5))
    }
  }

  /** One of two processes uses its stale tokens for a while. */
  function readCopy(process: number): string {
    const copy = copies.get(process)
    if (copy !== undefined && now - copy.readAt < COPY_AGE * 1000) return copy.token
    copies.set(process, { token: store, readAt: now })
    return store
  }

  /** Parallel calls that began with these tokens; the answers that arrive are stored in their order. */
  async function burst(held: string[]): Promise<void> {
    let [presented, received] = [held, false]
    for (;;) {
      const answers = await Promise.all(presented.map((refreshToken) => refresh(own, { ...connection, refreshToken })))
      life.refreshes += answers.length
      if (answers.some((answer) => answer.kind !== 'rotated')) return startAgain(answers)
      for (const answer of answers.filter(() => !random.chance(LOST))) {
        store = successorIn(answer)
        received = true
      }
      if (received) {
        lostAt = null
        return
      }
      lostAt ??= now
      // Most retry at once; some were a closed laptop, a tunnel or a restart, and retry later.
      pass(random.chance(70) ? 1 + random.below(8) : pauseOf(random))
      presented = [store]
    }
  }

  async function startAgain(answers: Rotation[]): Promise<void> {
    if (answers.every((answer) => answer.kind !== 'refused' || answer.reason !== 'reused'))
      throw new Error(JSON.stringify(answers[0]))
    life.ended++
    if (lostAt !== null && now - lostAt >= services.lifetimes.rotationGrace * 1000) life.excluded++
    ;({ connection, store, copies, lostAt } = await signIn())
  }
}

interface Copy {
  token: string
  readAt: number
}

/** The time between two uses of an app (seconds): minutes, a night, a holiday of up to 29 days. */
function pauseOf(random: Seeded): number {
  const dice = random.below(1000)
  if (dice < 800) return 5 * MINUTE + random.below(HOUR)
  if (dice < 960) return HOUR + random.below(12 * HOUR)
  if (dice < 995) return DAY + random.below(5 * DAY)
  return 6 * DAY + random.below(23 * DAY)
}
