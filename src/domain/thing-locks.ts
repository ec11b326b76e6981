import { setTimeout as sleep } from 'node:timers/promises'
import { Overloaded } from './fair-queue.ts'
import type { Services } from './services.ts'

/** A lock whose process has died is free after this time (seconds). No act takes so long: a query is cut off before. */
const HELD_SECONDS = 60
/** How long an act waits for its turn (ms). */
const TIMEOUT_MS = 8000
/** How often it looks whether another process has finished (ms). */
const POLL_MS = 20

const KIND = 'ThingLock'

/** The last act in line at each thing, in this process. */
const lines = new WeakMap<Services['storage'], Map<string, Promise<unknown>>>()

/**
 * Acts on one thing one after another, in all processes, so that what an act has read is so until it is done (no lost updates).
 * @param thing its kind and its id @throws Overloaded when others hold it too long
 */
export async function oneAtATime<T>(services: Services, thing: string, act: () => Promise<T>): Promise<T> {
  const line = lines.get(services.storage) ?? new Map<string, Promise<unknown>>()
  lines.set(services.storage, line)
  const before = line.get(thing)
  const giveUpAt = performance.now() + TIMEOUT_MS
  const turn = (async () => {
    await before?.catch(() => {})
    return whileHeld(services, thing, giveUpAt, act)
  })()
  line.set(thing, turn)
  try {
    return await turn
  } finally {
    if (line.get(thing) === turn) line.delete(thing)
  }
}

async function whileHeld<T>(services: Services, thing: string, giveUpAt: number, act: () => Promise<T>): Promise<T> {
  const { protocolRecords: records } = services.storage
  for (;;) {
    if (performance.now() > giveUpAt) throw new Overloaded(`${thing} is being changed by others`)
    if (await records.putOnce(KIND, thing, {}, HELD_SECONDS)) break
    await sleep(POLL_MS)
  }
  try {
    return await act()
  } finally {
    await records.delete(KIND, thing).catch((error: unknown) => {
      services.logger.warn({ error }, 'a lock could not be released; it is free in a minute')
    })
  }
}
