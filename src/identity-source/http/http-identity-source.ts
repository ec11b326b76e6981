import { randomBytes } from 'node:crypto'
import type { RetryPolicy } from 'cockatiel'
import {
  type IdentitySource,
  type NewSourceUser,
  type PasswordVerdict,
  type SourceCreation,
  type SourcePasswordChange,
  type SourceRequest,
  type SourceRequestProof,
  type SourceStatus,
  SourceUnavailable,
  type SourceUser,
} from '../../domain/identity-source.ts'
import type { Logger } from '../../logger.ts'
import { Lane, retryOnceAfter } from './lane.ts'
import { type AnswerOf, BATCH, type InputOf, type OperationName, OPERATIONS } from './protocol.ts'
import { answerProblem, signRequest, sourceKeysOf, verifyRequest } from './signatures.ts'
import { type IncomingAnswer, openTransport, RequestFailed } from './transport.ts'

export interface HttpSourceOptions {
  /** Its base, to which the names of the operations are added. */
  url: string
  /** One or more, with commas between: the first signs, all verify. */
  secret: string
  clock: () => Date
  logger: Logger
  /** For one request. A call, which may wait for its turn and be sent twice, is over after two and a half times as long. */
  timeoutMs?: number
  random?: (bytes: number) => Buffer
}

const TIMEOUT_MS = 2000
/** How long capabilities count, and how soon they are asked for again where they are not known (ms). */
const CAPABILITIES_TTL = 60_000
const UNKNOWN_TTL = 5000

const READS = retryOnceAfter(
  ({ kind, retryAfter }) => kind === 'connection' || (kind === 'busy' && retryAfter === null),
)
/** A guess counts once: it is sent again only if its answer never began. */
const GUESSES = retryOnceAfter(({ kind }) => kind === 'connection')
const CHANGES = retryOnceAfter(() => false)

/** The client of a source that speaks the portal's own protocol over HTTP (docs/identity-source-protocol.md). */
export class HttpIdentitySource implements IdentitySource {
  readonly kind = 'http'
  readonly #options: HttpSourceOptions
  readonly #base: string
  readonly #keys
  readonly #transport
  readonly #deadlineMs: number
  readonly #lanes: Record<'signIns' | 'statuses' | 'changes', Lane>
  #isClosed = false
  #capabilities: string[] | null = null
  #capabilitiesUntil = 0

  constructor(options: HttpSourceOptions) {
    const { timeoutMs = TIMEOUT_MS, clock, logger } = options
    this.#options = options
    this.#base = options.url.replace(/\/+$/, '')
    this.#keys = sourceKeysOf(options.secret)
    this.#transport = openTransport(timeoutMs)
    this.#deadlineMs = timeoutMs * 2.5
    this.#lanes = {
      signIns: new Lane({ name: 'sign-ins', atOnce: 32, waiting: 64, clock, logger }),
      statuses: new Lane({ name: 'statuses', atOnce: 4, waiting: 16, clock, logger }),
      changes: new Lane({ name: 'changes', atOnce: 8, waiting: 16, clock, logger }),
    }
  }

  async findByLogin(login: string): Promise<SourceUser | null> {
    if (!isInput('find', { login })) return null
    const { user } = await this.#ask('find', { login }, READS)
    return user === null ? null : userOf(user)
  }

  async findById(id: string): Promise<SourceUser | null> {
    if (!isInput('user', { id })) return null
    const { user } = await this.#ask('user', { id }, READS)
    if (user === null) return null
    this.#requireId('user', id, user.id)
    return userOf(user)
  }

  async verifyPassword(id: string, password: string): Promise<PasswordVerdict> {
    if (!isInput('verifyPassword', { id, password })) return 'wrong'
    const answer = await this.#ask('verifyPassword', { id, password }, GUESSES)
    this.#requireId('verifyPassword', id, answer.id)
    return answer.verdict
  }

  async statusesOf(ids: readonly string[]): Promise<Map<string, SourceStatus>> {
    const found = new Map<string, SourceStatus>()
    const asked = [...new Set(ids)].filter((id) => {
      const isOne = isInput('user', { id })
      if (!isOne) found.set(id, 'gone')
      return isOne
    })
    for (let start = 0; start < asked.length; start += BATCH)
      for (const [id, status] of await this.#statusesOfBatch(asked.slice(start, start + BATCH))) found.set(id, status)
    return found
  }

  async #statusesOfBatch(ids: string[]): Promise<Map<string, SourceStatus>> {
    const { statuses } = await this.#ask('statuses', { ids }, READS)
    const found = new Map(statuses.map(({ id, status }) => [id, status]))
    if (statuses.length !== ids.length || !ids.every((id) => found.has(id)))
      throw this.#unbelievable('statuses', 'answered with other ids than it was asked for')
    return found
  }

  /** Null until the source has said that it creates users. */
  get create(): IdentitySource['create'] {
    return this.#can('create') ? async (user) => this.#create(user) : null
  }

  /** Null until the source has said that it sets passwords. */
  get setPassword(): IdentitySource['setPassword'] {
    return this.#can('set-password') ? async (id, password) => this.#setPassword(id, password) : null
  }

  async verifyRequest(request: SourceRequest): Promise<SourceRequestProof> {
    return verifyRequest(request, this.#keys, this.#options.clock())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#transport.close()
  }

  /** Asks what the source can do. Never throws: what was known before counts on. */
  async learnCapabilities(): Promise<void> {
    this.#capabilitiesUntil = Infinity
    try {
      const { operations } = await this.#ask('capabilities', {}, READS)
      this.#capabilities = operations
    } catch (error) {
      if (!this.#isClosed) this.#options.logger.warn({ error }, 'identity source does not say what it can do')
    }
    this.#capabilitiesUntil =
      this.#options.clock().getTime() + (this.#capabilities === null ? UNKNOWN_TTL : CAPABILITIES_TTL)
  }

  #can(operation: string): boolean {
    if (this.#options.clock().getTime() >= this.#capabilitiesUntil) void this.learnCapabilities()
    return this.#capabilities?.includes(operation) === true
  }

  async #create(user: NewSourceUser): Promise<SourceCreation> {
    const { username, email, password } = user
    const answer = await this.#ask('create', { username, email, password }, CHANGES)
    if (answer.result === 'refused') return { kind: 'refused', reason: answer.reason }
    if (answer.result === 'taken') return { kind: 'taken' }
    if (answer.user.email.toLowerCase() !== email.toLowerCase())
      throw this.#unbelievable('create', 'created a user with another e-mail address')
    return { kind: 'created', user: userOf(answer.user) }
  }

  async #setPassword(id: string, password: string): Promise<SourcePasswordChange> {
    const answer = await this.#ask('setPassword', { id, password }, CHANGES)
    this.#requireId('setPassword', id, answer.id)
    return answer.result === 'changed' ? { kind: 'changed' } : { kind: 'refused', reason: answer.reason }
  }

  /** @throws SourceUnavailable with a reason for the log: nothing of the request or the answer is in it */
  async #ask<N extends OperationName>(name: N, input: InputOf<N>, retries: RetryPolicy): Promise<AnswerOf<N>> {
    if (!isInput(name, input)) throw unavailable(name, 'cannot be asked this')
    const body = JSON.stringify(input)
    const signal = AbortSignal.timeout(this.#deadlineMs)
    try {
      return await this.#lanes[LANES[name]].run(async () => this.#send(name, body, signal), retries, signal)
    } catch (error) {
      if (error instanceof RequestFailed) throw unavailable(name, error.message, error)
      throw error
    }
  }

  /** @throws RequestFailed */
  async #send<N extends OperationName>(name: N, body: string, signal: AbortSignal): Promise<AnswerOf<N>> {
    const { clock, random = randomBytes } = this.#options
    const request = { method: 'POST', url: `${this.#base}/${OPERATIONS[name].path}`, body }
    // Each try has a nonce of its own.
    const nonce = random(16).toString('base64url')
    const headers = await signRequest(request, this.#keys, { now: clock(), nonce })
    const answer = await this.#transport.post({ ...request, headers }, signal, LANES[name] === 'changes')
    const problem = await answerProblem(answer, { ...request, headers }, this.#keys)
    if (problem !== null) throw this.#untrusted(name, `its answer cannot be trusted: ${problem}`)
    return this.#read(name, answer)
  }

  #read<N extends OperationName>(name: N, { body }: IncomingAnswer): AnswerOf<N> {
    const result = OPERATIONS[name].answer.safeParse(jsonOf(body))
    if (result.success) return result.data as AnswerOf<N>
    const [issue] = result.error.issues
    const place = issue?.path.join('.') ?? ''
    throw this.#untrusted(
      name,
      `its answer is not as agreed: ${place === '' ? 'it' : place} (${issue?.code ?? 'JSON'})`,
    )
  }

  #requireId(name: OperationName, asked: string, answered: string): void {
    if (asked !== answered) throw this.#unbelievable(name, 'answered about another user than it was asked for')
  }

  #unbelievable(name: OperationName, problem: string): SourceUnavailable {
    return unavailable(name, problem, this.#untrusted(name, problem))
  }

  /** Logged here as well: it is a fault of the source or an attack, not a moment of bad luck. */
  #untrusted(name: OperationName, problem: string): RequestFailed {
    this.#options.logger.error({ operation: OPERATIONS[name].path, problem }, 'identity source cannot be believed')
    return new RequestFailed('answer', problem)
  }
}

const LANES = {
  find: 'signIns',
  user: 'signIns',
  verifyPassword: 'signIns',
  statuses: 'statuses',
  capabilities: 'statuses',
  create: 'changes',
  setPassword: 'changes',
} as const

/** Opens the source, and asks what it can do without waiting for it: a portal starts while its source is down. */
export function openHttpIdentitySource(options: HttpSourceOptions): HttpIdentitySource {
  const source = new HttpIdentitySource(options)
  void source.learnCapabilities()
  return source
}

function isInput<N extends OperationName>(name: N, input: InputOf<N>): boolean {
  return OPERATIONS[name].input.safeParse(input).success
}

function unavailable(name: OperationName, reason: string, cause?: Error): SourceUnavailable {
  return new SourceUnavailable(`identity source, ${OPERATIONS[name].path}: ${reason}`, { cause })
}

function userOf({ email_verified: emailVerified, ...user }: NonNullable<AnswerOf<'find'>['user']>): SourceUser {
  return { ...user, emailVerified }
}

/** Undefined for what is not JSON. */
function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return undefined
  }
}
