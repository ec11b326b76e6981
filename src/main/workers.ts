import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../logger.ts'

/** A worker that ends sooner than this after its start (ms) died young. */
const YOUNG_MS = 10_000
/** The first that dies young is replaced at once, as any; its successors that do so too after this (ms), twice this, … */
const FIRST_DELAY_MS = 1000
const LONGEST_DELAY_MS = 30_000
/** Longer than a worker takes to stop (ms); one that takes longer hangs. */
const STOP_LIMIT_MS = 15_000
/** What was sent before a stop is with a worker after this long (ms). */
const ARRIVAL_MS = 100

/** A worker could not start; the message is its own. */
export class WorkerFailed extends Error {}

/** One worker there should be; who holds the post changes. */
interface Post {
  worker: Worker
  youngDeaths: number
}

/** The processes that share the port, as the one sees them that opens it and hands each connection to one of them. */
export class Workers {
  readonly #logger: Logger
  readonly #posts: Post[] = []
  #isStopping = false

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Resolves when all are ready; when one is not to be had, there are none. @throws WorkerFailed */
  async start(count: number): Promise<void> {
    try {
      // The first one makes what is missing (the database, its tables, the keys), or finds out why nobody can.
      await this.#open()
      await Promise.all(Array.from({ length: count - 1 }, async () => this.#open()))
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Replaces one after the other, each by a new one that is ready before the old one drains. */
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

  /** Ends all of them, whatever they are at. */
  async stop(): Promise<void> {
    this.#isStopping = true
    // When the last worker closes its door, cluster cuts what none of them has taken in yet.
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
      // Who holds no post was not ready yet, or has been replaced.
      if (left !== undefined && !this.#isStopping) this.#replace(left, code, signal, performance.now() - startedAt)
    }

    worker.once('exit', ended)
    worker.on('message', (problem: string) => {
      if (post() !== undefined) this.#logger.error({ pid, problem }, 'a worker could not start')
    })
    worker.on('error', (error) => {
      // Such as a connection that could not be handed over because the worker has just died.
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
      // A restart may have been quicker.
      if (post.worker === dead && !this.#isStopping) post.worker = this.#fork()
    }, delay)
  }
}

/** In a worker: resolves when it is to stop. */
export async function stopOfWorker(): Promise<void> {
  const worker = cluster.worker as Worker
  // Both are for the first process alone, but a terminal sends them to all of its processes.
  process.on('SIGINT', () => {}).on('SIGHUP', () => {})
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve())
    process.prependListener('disconnect', () => {
      // The first process is gone. Left alone, cluster would end us here and now, in the middle of answers.
      worker.exitedAfterDisconnect = true
      // Whoever was about to listen waits for the word of the first process, which never comes.
      setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
      resolve()
    })
  })
}

/** In a worker: resolves when every connection that was on its way here has been taken in, or handed to another. */
export async function leaveAsWorker(): Promise<void> {
  const worker = cluster.worker as Worker
  if (!worker.isConnected()) return
  // Whoever just ends leaves behind, without an answer for ever, a connection that was handed over at this moment.
  worker.disconnect()
  await once(worker, 'disconnect')
}

/** In a worker: leaves the words on what went wrong to the first process, and ends. */
export async function failAsWorker(problem: string): Promise<never> {
  await new Promise((resolve) => process.send?.(problem, resolve))
  process.exit(1)
}

/** @throws WorkerFailed with what the worker has said when it ends instead. */
async function untilReady(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    let problem = 'gatehouse: a worker ended before it was ready'
    worker.once('listening', () => resolve())
    worker.once('message', (words: string) => (problem = words))
    // Unlike its exit, this comes after everything it has said.
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

/** How long a post that this many workers have left young, one after the other, stays empty (ms). */
function delayAfter(youngDeaths: number): number {
  return youngDeaths < 2 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (youngDeaths - 2), LONGEST_DELAY_MS)
}
