// Runs in a process of its own: it starts the reference source and a proxy in front of it.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { buffer, text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { hash } from 'argon2'
import { findFreePort } from '../../../storage/embedded/free-port.ts'
import { gatehouse } from '../../../testing/portal/gatehouse.ts'
import { signAnswer, type SignedRequest, signRequest, sourceKeysOf, verifyRequest } from '../signatures.ts'
import type { Result } from './check.ts'
import { checkSource } from './conformance.ts'
import { Probe } from './probe.ts'

const SECRET = 'a secret of thirty-two characters'
const PASSWORD = 'correct horse battery staple'
const KEYS = sourceKeysOf(SECRET)
const EXAMPLE = join(import.meta.dirname, '../../../../examples/user-service')

/** What a proxy in front of a source that does everything right makes wrong. */
interface Fault {
  /** It forwards such a request as if it were as agreed. `reason` is why it is not; `again` counts its nonce. */
  accepts?: (request: SignedRequest, reason: string | null, again: number) => boolean | Promise<boolean>
  /** It answers this in place of the source: a status, or JSON with status 200. */
  refuses?: (request: SignedRequest, path: string) => unknown
  /** It changes what the source answers. */
  changes?: (path: string, answer: Json, input: Json) => unknown
  /** It changes the headers of an answer, or its status. */
  sends?: (path: string, headers: Record<string, string>) => number | undefined
  /** It signs answers for this request. */
  signsFor?: (request: SignedRequest) => Promise<SignedRequest> | SignedRequest
  /** It takes as long (ms). */
  takes?: (path: string, request: SignedRequest) => number | undefined
}
type Json = Record<string, any> // oxlint-disable-line typescript/no-explicit-any -- any JSON that a fault changes

let folder: string
let proxy: Server
let url: string
let source: string
let service: ChildProcess
let faults: Fault[] = []
let elapsed = 0
const nonces = new Map<string, number>()

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'user-service-'))
  proxy = createServer((req, res) => void pass(req, res).catch(() => res.destroy()))
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/people`
  const port = await findFreePort()
  source = `http://127.0.0.1:${port}`
  const env = {
    PATH: process.env['PATH'] ?? '',
    PORT: String(port),
    BASE_URL: url,
    DATABASE: join(folder, 'users.sqlite'),
    IDENTITY_SOURCE_SECRET: SECRET,
  }
  const cli = spawn(process.execPath, [join(EXAMPLE, 'user.ts'), 'add', 'ada', 'ada@example.com'], { env })
  cli.stdin.end(`${PASSWORD}\n`)
  assert.match(await text(cli.stdout), /^[0-9a-f-]{36}\n$/)
  await makeCheap(env.DATABASE)
  service = spawn(process.execPath, [join(EXAMPLE, 'server.ts')], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  await once(service.stdout as NonNullable<typeof service.stdout>, 'data')
})
after(async () => {
  service.kill()
  proxy.closeAllConnections()
  proxy.close()
  await once(service, 'exit')
  rmSync(folder, { recursive: true })
})

/** Comparing this password many times must not take long. */
async function makeCheap(database: string): Promise<void> {
  const db = new DatabaseSync(database)
  const cheap = await hash(PASSWORD, { memoryCost: 1024, timeCost: 2, parallelism: 1 })
  db.prepare('UPDATE users SET password_hash = ?').run(cheap)
  db.close()
}

async function pass(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = (await buffer(req)).toString()
  const path = (req.url ?? '').replace('/people/', '')
  const request = { method: req.method ?? '', url: `${url}/${path}`, headers: req.headers, body }
  const refused = firstOf((fault) => fault.refuses?.(request, path))
  if (typeof refused === 'number') return void res.writeHead(refused).end()
  if (refused !== undefined) return answer(request, res, path, 200, JSON.stringify(refused))
  const received = await fetch(`${source}/people/${path}`, {
    method: request.method,
    headers: await forwarded(request),
    ...(request.method === 'GET' ? {} : { body }),
  })
  const sent = await received.text()
  const change = (json: unknown, fault: Fault) => fault.changes?.(path, json as Json, JSON.parse(body) as Json) ?? json
  const changed = received.status === 200 ? JSON.stringify(faults.reduce(change, JSON.parse(sent))) : sent
  await answer(request, res, path, received.status, changed)
}

async function forwarded(request: SignedRequest): Promise<Record<string, string>> {
  const proof = await verifyRequest(request, KEYS, new Date())
  const nonce = /nonce="([^"]+)"/.exec(String(request.headers['signature-input']))?.[1] ?? ''
  const again = nonces.get(nonce) ?? 0
  nonces.set(nonce, again + 1)
  const reason = proof.kind === 'refused' ? proof.reason : null
  const accepted = await Promise.all(faults.map(async (fault) => fault.accepts?.(request, reason, again)))
  if (accepted.includes(true)) return signRequest(request, KEYS, { now: new Date(), nonce: crypto.randomUUID() })
  const names = ['content-type', 'content-digest', 'signature', 'signature-input']
  return Object.fromEntries(
    names.flatMap((name) => (request.headers[name] ? [[name, String(request.headers[name])]] : [])),
  )
}

async function answer(
  request: SignedRequest,
  res: ServerResponse,
  path: string,
  status: number,
  body: string,
): Promise<void> {
  elapsed += firstOf((fault) => fault.takes?.(path, request)) ?? 0
  if (status !== 200 || request.headers['signature'] === undefined) return void res.writeHead(status).end(body)
  const signedFor = (await firstOf((fault) => fault.signsFor?.(request))) ?? request
  const headers = await signAnswer({ status, body }, signedFor, KEYS, new Date())
  const sent = firstOf((fault) => fault.sends?.(path, headers)) ?? status
  res.writeHead(sent, headers).end(body)
}

/** The codes of the checks that fail. */
async function failed(mayCreate: boolean): Promise<string[]> {
  const known = { login: 'ada', password: PASSWORD, mayCreate }
  const results = await checkSource(new Probe({ url, secret: SECRET, elapsed: () => elapsed, ...known }))
  return results.filter(({ result }) => result === 'fail' || result === 'hint').map(({ code }) => code)
}

const isDifferent = /does not match/

/**
 * The run in which it is made, and the check that finds it. Those that keep others from being seen have a run of their own.
 */
const FAULTS: [number, string, string, Fault][] = [
  [
    5,
    'capabilities',
    'speaks another version',
    { changes: (path, it) => (path === 'capabilities' ? { ...it, version: 2 } : it) },
  ],
  [
    1,
    'clock',
    'has a wrong clock',
    { changes: (path, it) => (path === 'capabilities' ? { ...it, time: '2020-01-01T00:00:00Z' } : it) },
  ],
  [
    1,
    'unsigned',
    'answers requests without a signature',
    { accepts: ({ headers }) => headers['signature'] === undefined },
  ],
  [1, 'wrong-key', 'does not look at the key', { accepts: (_, reason) => /key id/.test(reason ?? '') }],
  [1, 'uncovered', 'does not look at what is covered', { accepts: (_, reason) => /cover/.test(reason ?? '') }],
  [1, 'altered-body', 'does not compare the digest', { accepts: (_, reason) => /not the one/.test(reason ?? '') }],
  [
    1,
    'altered-digest',
    'believes the digest that came',
    { accepts: ({ body }, reason) => isDifferent.test(reason ?? '') && body !== '{}' },
  ],
  [
    1,
    'old',
    'does not look at expires',
    { accepts: (request, reason) => /too old/.test(reason ?? '') && hasExpired(request) },
  ],
  [
    1,
    'long-lived',
    'does not look at created',
    { accepts: (request, reason) => /too old/.test(reason ?? '') && !hasExpired(request) },
  ],
  [1, 'future', 'takes signatures of tomorrow', { accepts: (_, reason) => /future/.test(reason ?? '') }],
  [1, 'target', 'does not compare the URL', { accepts: isForElsewhere }],
  [1, 'replay', 'does not remember nonces', { accepts: (_, reason) => reason === null }],
  [3, 'replay-race', 'reads a nonce before it writes it', { accepts: (_request, _reason, again) => again === 2 }],
  [1, 'content-type', 'reads any content type', { accepts: (_, reason) => /content type/.test(reason ?? '') }],
  [1, 'json', 'fails on what is not JSON', { refuses: ({ body }) => (body === '{' ? 500 : undefined) }],
  [
    1,
    'input',
    'fails on objects for strings',
    { refuses: ({ body }) => (body.includes('$ne":""}}') ? 500 : undefined) },
  ],
  [2, 'input', 'answers null', { refuses: ({ body }) => (body === 'null' ? { user: null } : undefined) }],
  [
    1,
    'large',
    'reads a body of any size',
    { refuses: ({ body }) => (body.length > 500_000 ? { user: null } : undefined) },
  ],
  [
    1,
    'unknown-operation',
    'answers any operation',
    { refuses: (_, path) => (path === 'gatehouse-check' ? {} : undefined) },
  ],
  [1, 'method', 'answers GET', { refuses: ({ method }) => (method === 'GET' ? {} : undefined) }],
  [6, 'find-known', 'finds no user', { changes: (path, it) => (path === 'find' ? { user: null } : it) }],
  [
    7,
    'find-known',
    'leaves out the status',
    { changes: (path, it) => (path === 'find' && it['user'] ? { user: { ...it['user'], status: undefined } } : it) },
  ],
  [
    1,
    'find-unknown',
    'takes the login for a pattern',
    { refuses: ({ body }) => (body === '{"login":"%"}' ? { user: EVE } : undefined) },
  ],
  [2, 'find-unknown', 'answers 404', { refuses: ({ body }) => (body.includes('OR 1=1') ? 404 : undefined) }],
  [
    1,
    'user-known',
    'answers with another user',
    { changes: (path, it) => (path === 'user' && it['user'] ? { user: EVE } : it) },
  ],
  [
    1,
    'user-unknown',
    'answers unknown ids with another user',
    { changes: (path, it) => (path === 'user' && !it['user'] ? { user: EVE } : it) },
  ],
  [
    1,
    'password-right',
    'echoes no id',
    { changes: (path, it) => (path === 'verify-password' && it['verdict'] === 'matches' ? { ...it, id: 'eve' } : it) },
  ],
  [
    3,
    'password-right',
    'refuses everyone',
    { changes: (path, it) => (path === 'verify-password' ? { ...it, verdict: 'wrong' } : it) },
  ],
  [
    1,
    'password-wrong',
    'lets an empty password in',
    { changes: (_, it, input) => (input['password'] === '' ? { ...it, verdict: 'matches' } : it) },
  ],
  [
    2,
    'password-wrong',
    'trims passwords',
    {
      changes: (path, it, input) =>
        String(input['password']).trim() === PASSWORD &&
        path === 'verify-password' &&
        it['verdict'] === 'wrong' &&
        !String(input['id']).includes('check')
          ? { ...it, verdict: 'matches' }
          : it,
    },
  ],
  [
    1,
    'password-unknown',
    'answers 404 to unknown ids',
    {
      refuses: ({ body }, path) =>
        path === 'verify-password' && body.includes('gatehouse-check') && body.includes('battery') ? 404 : undefined,
    },
  ],
  [
    1,
    'statuses',
    'leaves out unknown ids',
    { changes: (path, it) => (path === 'statuses' ? { statuses: it['statuses'].slice(0, 1) } : it) },
  ],
  [
    2,
    'statuses',
    'says that all are active',
    {
      changes: (path, it) =>
        path === 'statuses' ? { statuses: it['statuses'].map((each: Json) => ({ ...each, status: 'active' })) } : it,
    },
  ],
  [
    1,
    'create-taken',
    'creates a user twice',
    { changes: (path, it) => (it['result'] === 'taken' && path === 'create' ? { result: 'created', user: EVE } : it) },
  ],
  [
    1,
    'set-password-unknown',
    'changes the password of an unknown user',
    { changes: (path, it) => (path === 'set-password' ? { ...it, result: 'changed' } : it) },
  ],
  [3, 'answer-type', 'answers pages', { sends: (_, headers) => void (headers['content-type'] = 'text/html') }],
  [1, 'answer-signature', 'does not sign', { sends: (_, headers) => void delete headers['signature'] }],
  [
    2,
    'answer-signature',
    'signs for another request',
    {
      signsFor: async (request) => ({
        ...request,
        headers: await signRequest(request, KEYS, { now: new Date(), nonce: crypto.randomUUID() }),
      }),
    },
  ],
  [
    3,
    'answer-size',
    'answers too much',
    { changes: (path, it) => (path === 'statuses' ? { ...it, more: 'x'.repeat(300_000) } : it) },
  ],
  [1, 'answer-time', 'is slow', { takes: (path) => (path === 'statuses' ? 2001 : undefined) }],
  [
    4,
    'redirects',
    'redirects',
    { sends: (path, headers) => (path === 'statuses' ? ((headers['location'] = url), 307) : undefined) },
  ],
  [
    1,
    'secrecy',
    'answers with hashes',
    {
      changes: (path, it) =>
        path === 'find' && it['user'] ? { user: { ...it['user'], password_hash: '$argon2id$' } } : it,
    },
  ],
  [
    1,
    'timing',
    'compares only the passwords of known users',
    {
      takes: (path, { body }) => (path !== 'verify-password' ? undefined : body.includes('gatehouse-check') ? 10 : 100),
    },
  ],
]
const EVE = { id: 'eve', username: 'eve', email: 'eve@example.com', email_verified: true, status: 'active' }

test('the reference source does everything right', async () => {
  faults = []
  assert.deepEqual(await failed(true), [])
})

test('each fault of a source is found by the check that is about it, and by no other', async () => {
  for (const run of Map.groupBy(FAULTS, ([number]) => number).values()) {
    faults = run.map(([, , , fault]) => fault)
    const what = run.map(([, code, words]) => `${code}: a source that ${words}`).join('\n')
    assert.deepEqual((await failed(false)).toSorted(), run.map(([, code]) => code).toSorted(), what)
  }
})

test('creating twice and not replacing a password is found', async () => {
  let made: unknown
  faults = [
    {
      changes: (path, it) => {
        if (path !== 'create' || it['result'] === 'refused') return it
        made ??= it['user']
        return it['result'] === 'taken' && made ? { result: 'created', user: made } : it
      },
    },
  ]
  assert.deepEqual(await failed(true), ['create'])
  faults = [
    {
      refuses: ({ body }, path) =>
        path === 'set-password'
          ? {
              id: (JSON.parse(body.toString()) as Json)['id'],
              result: body.includes('check') ? 'refused' : 'changed',
              reason: 'x',
            }
          : undefined,
    },
  ]
  assert.deepEqual(await failed(true), ['set-password'])
})

test('the command prints each check, and exits with 1 where one fails', async () => {
  faults = [{ changes: (path, it) => (path === 'capabilities' ? { ...it, time: '2020-01-01T00:00:00Z' } : it) }]
  const args = ['identity-source', 'check', url, '--login', 'ada', '--password-stdin']
  const env = { PATH: process.env['PATH'] ?? '', IDENTITY_SOURCE_SECRET: SECRET }
  const { code, stdout, stderr } = await gatehouse(args, env, `${PASSWORD}\n`)
  assert.equal(code, 1)
  assert.match(stdout, /^ 2 FAIL {4}clock: .+\n +found: it is \d+ seconds behind\n +Set the clocks/m)
  assert.match(stdout, /^24 pass {4}password-right: /m)
  assert.match(stderr, /of 38 checks failed/)
  assert.ok(!`${stdout}${stderr}`.includes(PASSWORD))
  faults = []
  const { stdout: json } = await gatehouse(['identity-source', 'check', url, '--json'], env)
  const { checks } = JSON.parse(json) as { checks: Result[] }
  assert.deepEqual(
    checks.filter(({ code, result }) => result === 'fail' && code !== 'answer-time').map(({ code }) => code),
    [],
  )
})

test('without a user, or a source, what cannot be checked is skipped and not passed', async () => {
  faults = []
  const options = { secret: SECRET }
  const unknown = await checkSource(new Probe({ url, ...options }))
  const skipped = unknown.filter(({ result }) => result === 'skipped')
  assert.ok(skipped.some(({ code, found }) => code === 'password-right' && found === 'it needs --login'))
  assert.ok(!unknown.some(({ result }) => result === 'fail'))
  const port = await findFreePort()
  const nothing = await checkSource(new Probe({ url: `http://127.0.0.1:${port}`, ...options }))
  const [first, ...rest] = nothing.map(({ result }) => result)
  assert.equal(first, 'fail')
  assert.ok(rest.every((result) => result === 'skipped'))
})

function firstOf<T>(of: (fault: Fault) => T | undefined): T | undefined {
  return faults.map(of).find((each) => each !== undefined)
}

function hasExpired({ headers }: SignedRequest): boolean {
  return Number(/expires=(\d+)/.exec(String(headers['signature-input']))?.[1]) * 1000 < Date.now()
}

async function isForElsewhere(request: SignedRequest, reason: string | null): Promise<boolean> {
  if (reason === null) return false
  return (
    (await verifyRequest({ ...request, url: 'https://another.example.com/find' }, KEYS, new Date())).kind === 'valid'
  )
}
