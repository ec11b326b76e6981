import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { MessageKey } from '../../i18n/messages.ts'
import { FairQueue, Overloaded, type QueueLimits } from '../fair-queue.ts'

/** From one of the first thousand guesses to more than ten thousand million of them. */
export type Score = 0 | 1 | 2 | 3 | 4

export interface Strength {
  score: Score
  /** What makes it easy to guess; none for a strong one. */
  advice: MessageKey[]
}

/** What the worker is asked. */
export interface Question {
  password: string
  /** What an attacker who knows the user would try first. */
  words: string[]
}

export interface StrengthEstimator {
  /** Null when there is no answer in time. `source` is the key of the caller in the fair queue. */
  estimate(password: string, words: string[], source: string): Promise<Strength | null>
  /** Ends the worker at once. */
  close(): Promise<void>
}

export interface EstimatorLimits extends Pick<QueueLimits, 'waiting' | 'clock'> {
  /** How long one estimate may take (ms); one that takes longer is ended with its worker. */
  timeout?: number
  /** How long a worker may take to start (ms). */
  startTimeout?: number
  /** How long a worker without a question is kept (ms). */
  idle?: number
  /** What the worker runs: it posts one message when it is ready, then one for each question. */
  program?: URL
}

/**
 * Estimates with zxcvbn, one password at a time, in a worker thread: an estimate takes up to a second, which would block all
 * other requests. An idle worker is ended, which frees its dictionaries. `onError` is called for every worker that failed.
 */
export function createStrengthEstimator(
  onError: (error: Error) => void,
  {
    timeout = 2000,
    startTimeout = 10_000,
    idle = 60_000,
    program = new URL('./password-strength-worker.ts', import.meta.url),
    ...queueLimits
  }: EstimatorLimits = {},
): StrengthEstimator {
  const queue = new FairQueue(queueLimits)
  let current: Helper | null = null
  let leaving: NodeJS.Timeout | undefined

  const dismiss = async (helper: Helper | null): Promise<void> => {
    clearTimeout(leaving)
    if (current === helper) current = null
    await helper?.worker.terminate()
  }

  /** A worker that is ready; null when it cannot be had in time. */
  const findHelper = async (): Promise<Helper | null> => {
    const helper = (current ??= startHelper(program, startTimeout))
    return helper.ready.then(
      () => helper,
      (error: unknown) => giveUp(helper, error),
    )
  }

  const giveUp = async (helper: Helper, error: unknown): Promise<null> => {
    await dismiss(helper)
    onError(new Error(`the strength of a password could not be estimated: ${codeOf(error)}`))
    return null
  }

  const ask = async (worker: Worker, question: Question): Promise<Strength> => {
    clearTimeout(leaving)
    worker.ref()
    const answered = messageOf(worker, timeout)
    worker.postMessage(question)
    const strength = (await answered) as Strength
    worker.unref()
    leaving = setTimeout(() => void dismiss(current), idle).unref()
    return strength
  }

  return {
    async estimate(password, words, source) {
      const question = { password: bounded(password), words: words.map(bounded) }
      // All questions wait together while a worker starts. Their time in the queue begins after that.
      if ((await findHelper()) === null) return null
      const job = async () => {
        const helper = await findHelper()
        return helper && ask(helper.worker, question).catch((error: unknown) => giveUp(helper, error))
      }
      return queue.run(source, job).catch((error: unknown) => {
        if (!(error instanceof Overloaded)) throw error
        onError(error)
        return null
      })
    },
    close: () => dismiss(current),
  }
}

interface Helper {
  worker: Worker
  ready: Promise<unknown>
}

/**
 * Only so many characters are estimated. Each more makes a hostile password slower to estimate, and an ordinary one of this
 * length is strong already.
 */
function bounded(text: string): string {
  return text.slice(0, 48)
}

function startHelper(program: URL, timeout: number): Helper {
  // It gets no settings or secrets. An estimate that needs more memory than this fails without harm to the portal.
  const worker = new Worker(program, { env: {}, resourceLimits: { maxOldGenerationSizeMb: 384 } })
  // The error reaches the question that waits; without a listener one between two questions would end the process.
  worker.on('error', () => {})
  return { worker, ready: messageOf(worker, timeout) }
}

async function messageOf(worker: Worker, timeout: number): Promise<unknown> {
  const [message] = (await once(worker, 'message', { signal: AbortSignal.timeout(timeout) })) as [unknown]
  return message
}

/** Not its message, which may quote the password. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: string }
  return typeof code === 'string' ? code : (name ?? 'Error')
}
