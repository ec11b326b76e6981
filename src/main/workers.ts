import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../logger.ts'
import { MetricsOfWorkers } from './worker-metrics.ts'

/** A worker process that ends sooner than this after its start (ms) died young. */
const YOUNG_MS = 10_000
/**
 * The first worker that dies young is replaced at once. Later ones are replaced after this (ms), then twice this, and so on.
 */
const FIRST_DELAY_MS = 1000
const LONGEST_DELAY_MS = 30_000
/** A worker process that takes longer than this to stop (ms) hangs. */
const STOP_LIMIT_MS = 15_000
/** After this long (ms) a worker has received everything sent to it before a stop. */
const ARRIVAL_MS = 100

/** A worker could not start; the message is that of its own error. */
export class WorkerFailed extends Error {}

/** One slot for a worker process; replacements take over the slot. */
interface Post {
  worker: Worker
  youngDeaths: number
}

/** Worker processes that share the port (node:cluster), seen from the primary process, which hands connections to them. */
export class Workers {
  readonly #logger: Logger
  readonly #posts: Post[] = []
  readonly #metrics = new MetricsOfWorkers()
  #isStopping = false

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Resolves when all workers are ready; when one cannot start, all are stopped. @throws WorkerFailed */
  async start(count: number): Promise<void> {
    try {
      // The first worker prepares the database, its tables and the keys, or reports why it cannot.
      await this.#open()
      await Promise.all(Array.from({ length: count - 1 }, async () => this.#open()))
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Rolling restart: replaces one worker after the other, each by a new one that is ready before the old one drains. */
  async restart(): Promise<void> {
    this.#logger.info('restarting every worker')
    for (const post of this.#posts) {
      try {
        const worker = await this.#startWorker()
        const old = post.worker
        post.worker = worker
        post.youngDeaths = 0
        await end(old)
      } catch (error) {
        if (this.#isStopping) return
        const problem = (error as Error).message
        return this.#logger.error({ problem }, 'a new worker could not start, so the old ones go on')
      }
    }
    this.#logger.info('every worker has been restarted')
  }

  /** Ends all workers, whatever they are doing. */
  async stop(): Promise<void> {
    this.#isStopping = true
    // When the last worker closes its listener, cluster cuts the connections that no worker has accepted yet.
    await sleep(ARRIVAL_MS)
    await Promise.all(Object.values(cluster.workers ?? {}).map(async (worker) => worker && end(worker)))
  }

  async #open(): Promise<void> {
    this.#posts.push({ worker: await this.#startWorker(), youngDeaths: 0 })
  }

  async #startWorker(): Promise<Worker> {
    if (this.#isStopping) throw new WorkerFailed('stopped')
    const worker = this.#fork()
    await untilReady(worker)
    return worker
  }

  #fork(): Worker {
    const worker = cluster.fork()
    const startedAt = performance.now()
    const { pid } = worker.process
    const post = () => this.#posts.find((each) => each.worker === worker)
    const ended = (code: number | null, signal: string | null) => {
      const left = post()
      // A worker without a slot was not ready yet, or has been replaced.
      if (left !== undefined && !this.#isStopping) this.#replace(left, code, signal, performance.now() - startedAt)
    }

    worker.once('exit', ended)
    this.#metrics.follow(worker)
    worker.on('message', (problem: unknown) => {
      if (post() !== undefined && typeof problem === 'string')
        this.#logger.error({ pid, problem }, 'a worker could not start')
    })
    worker.on('error', (error) => {
      // For example, a connection could not be handed over because the worker has just died.
      this.#logger.warn({ pid, error }, 'a worker is out of reach')
      if (pid === undefined) ended(null, null)
    })
    return worker
  }

  #replace(post: Post, code: number | null, signal: string | null, age: number): void {
    const dead = post.worker
    post.youngDeaths = age < YOUNG_MS ? post.youngDeaths + 1 : 0
    const delay = delayAfter(post.youngDeaths)
    this.#logger.warn({ pid: dead.process.pid, code, signal, delay }, 'a worker ended and is replaced')
    setTimeout(() => {
      // A restart may have replaced it already.
      if (post.worker === dead && !this.#isStopping) post.worker = this.#fork()
    }, delay)
  }
}

/** In a worker: resolves when it must stop. */
export async function stopOfWorker(): Promise<void> {
  const worker = cluster.worker as Worker
  // Both signals are for the primary process, but a terminal sends them to all processes.
  process.on('SIGINT', () => {}).on('SIGHUP', () => {})
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve())
    process.prependListener('disconnect', () => {
      // The primary process is gone. By default, cluster would end the worker at once, in the middle of responses.
      worker.exitedAfterDisconnect = true
      // A worker about to listen waits for the primary process, which never answers.
      setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
      resolve()
    })
  })
}

/** In a worker: resolves when every connection on its way here has been accepted, or handed to another worker. */
export async function leaveAsWorker(): Promise<void> {
  const worker = cluster.worker as Worker
  if (!worker.isConnected()) return
  // A worker that just exits would leave a connection that was handed over at this moment without an answer.
  worker.disconnect()
  await once(worker, 'disconnect')
}

/** In a worker: reports the problem to the primary process, and exits. */
export async function failAsWorker(problem: string): Promise<never> {
  await new Promise((resolve) => process.send?.(problem, resolve))
  process.exit(1)
}

/** @throws WorkerFailed with the error of a worker that ends instead */
async function untilReady(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    let problem = 'gatehouse: a worker ended before it was ready'
    worker.once('listening', () => resolve())
    worker.on('message', (words: unknown) => {
      if (typeof words === 'string') problem = words
    })
    // Unlike `exit`, `disconnect` comes after all messages of the worker.
    worker.once('disconnect', () => reject(new WorkerFailed(problem)))
    worker.once('error', (error) => reject(error))
  })
}

async function end(worker: Worker): Promise<void> {
  if (worker.isDead()) return
  const exited = new Promise((resolve) => worker.once('exit', resolve))
  worker.process.kill('SIGTERM')
  const limit = setTimeout(() => worker.process.kill('SIGKILL'), STOP_LIMIT_MS)
  await exited
  clearTimeout(limit)
}

/** How long a slot stays empty after this many workers in a row died young (ms). */
function delayAfter(youngDeaths: number): number {
  return youngDeaths < 2 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (youngDeaths - 2), LONGEST_DELAY_MS)
}
