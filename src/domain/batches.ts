import { setTimeout as sleep } from 'node:timers/promises'

/** Batches in one round, so that it ends: with 250 rows in each, 100,000 rows a round. */
const MOST = 400

export interface BatchPace {
  /** Rows in one batch, which is a transaction of its own. */
  size: number
  /** Between two batches, so that the database also serves requests. */
  pauseMs: number
  signal: AbortSignal | undefined
}

/** Runs batches until one comes back short, the round is full, or the signal aborts. @returns how many rows all batches had */
export async function inBatches(
  runBatch: (limit: number) => Promise<number>,
  { size, pauseMs, signal }: BatchPace,
): Promise<number> {
  let count = 0
  for (let batch = 0; batch < MOST && signal?.aborted !== true; batch++) {
    const done = await runBatch(size)
    count += done
    if (done < size) break
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
  return count
}
