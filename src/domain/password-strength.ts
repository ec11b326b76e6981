import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import pLimit from 'p-limit'

/** From one of the first thousand guesses to more than ten thousand million of them. */
export type Score = 0 | 1 | 2 | 3 | 4

export interface Strength {
  score: Score
  /** Sentences on what makes it easy to guess; none for a strong one. */
  advice: string[]
}

/** What the worker is asked. */
export interface Question {
  password: string
  /** What somebody who knows the person would try first. */
  words: string[]
}

export interface StrengthEstimator {
  /** Null when nobody could say, or not in time. @throws EstimatorBusy */
  estimate(password: string, words: string[]): Promise<Strength | null>
  /** Ends the worker at once. */
  close(): Promise<void>
}

/** More people are choosing a password than can be answered soon; the same request may succeed a little later. */
export class EstimatorBusy extends Error {}

export interface EstimatorLimits {
  /** How long one answer may take, the start of the worker included (ms). */
  patience?: number
  /** How long a worker without a question is kept (ms). */
  idle?: number
  /** How many questions may wait for their turn. */
  waiting?: number
  /** What the worker runs. */
  program?: URL
}

/**
 * Estimates with zxcvbn, one password at a time, in a worker: here it would hold up everybody else for up to a second, and
 * its dictionaries are let go when nobody has asked for a while. `onError` hears of every worker that failed.
 */
export function createStrengthEstimator(
  onError: (error: Error) => void,
  {
    patience = 5000,
    idle = 60_000,
    waiting = 20,
    program = new URL('./password-strength-worker.ts', import.meta.url),
  }: EstimatorLimits = {},
): StrengthEstimator {
  const inTurn = pLimit(1)
  let worker: Worker | null = null
  let leaving: NodeJS.Timeout | undefined

  const dismiss = async (): Promise<void> => {
    clearTimeout(leaving)
    const dismissed = worker
    worker = null
    await dismissed?.terminate()
  }

  const ask = async (question: Question): Promise<Strength | null> => {
    clearTimeout(leaving)
    worker ??= startWorker(program)
    worker.ref()
    try {
      const strength = await answerOf(worker, question, patience)
      worker.unref()
      leaving = setTimeout(() => void dismiss(), idle).unref()
      return strength
    } catch (error) {
      await dismiss()
      onError(new Error(`the strength of a password could not be estimated: ${codeOf(error)}`))
      return null
    }
  }

  return {
    async estimate(password, words) {
      if (inTurn.pendingCount >= waiting) throw new EstimatorBusy('too many passwords wait for an estimate')
      return inTurn(() => ask({ password: password.slice(0, CONSIDERED), words }))
    },
    close: dismiss,
  }
}

/**
 * Only so many characters are looked at. Each makes a hostile password slower to estimate, and an honest one of this length
 * is strong already.
 */
const CONSIDERED = 72

function startWorker(program: URL): Worker {
  // It sees none of our settings; an estimate that wants more memory than this fails, and the portal goes on.
  const worker = new Worker(program, { env: {}, resourceLimits: { maxOldGenerationSizeMb: 384 } })
  // Whoever waits for an answer hears of it; without a listener one that fails between two questions would end the process.
  return worker.on('error', () => {})
}

async function answerOf(worker: Worker, question: Question, patience: number): Promise<Strength> {
  const answered = once(worker, 'message', { signal: AbortSignal.timeout(patience) })
  worker.postMessage(question)
  const [strength] = (await answered) as [Strength]
  return strength
}

/** Not its message, which may quote the password. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: string }
  return typeof code === 'string' ? code : (name ?? 'Error')
}
