import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, test } from 'node:test'
import addFormats from 'ajv-formats'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { type AdminClient, type ApiAnswer, openAdminClient } from '../testing/portal/admin-client.ts'
import { contactsApi } from '../testing/portal/apis.ts'
import { notesApp } from '../testing/portal/apps.ts'
import {
  type Answer,
  type Described,
  describedOperations,
  type OpenApi,
  type Schema,
} from '../testing/portal/openapi.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { HOSTILE, valuesOf } from '../testing/portal/schema-values.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

/** CONTRACT_REQUESTS makes it longer; FUZZ_SEED repeats a run. */
const REQUESTS = Number(process.env['CONTRACT_REQUESTS'] ?? 800)
const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31))

const CONTACTS = 'https://contacts.example.test/'
let server: TestServer
let ops: AdminClient
let document: OpenApi
let ajv: Ajv2020
/** Ids and names that answers have named. */
const known = new Set<string>(['ada', 'grace', 'notes', CONTACTS])
/** Those of them that stand in paths, by the name of the parameter. */
const things = new Map<string, Set<string>>([
  ['identity', new Set(['ada', 'grace'])],
  ['client_id', new Set(['notes'])],
  ['api', new Set([CONTACTS])],
])
const statuses = new Map<number, number>()

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  await server.addIdentity(ada, { roles: ['admin'] })
  await server.addIdentity(grace)
  const [redirectUri = ''] = notesApp.redirectUris
  const notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), redirectUri)
  for (const person of [ada, grace]) {
    const browser = new Browser(server.url)
    await browser.signIn(person)
    await notes.connect(browser)
  }
  await server.addApi(CONTACTS, contactsApi)
  ops = await openAdminClient(server, 'the-caller', ['admin:read', 'admin:write'])
  document = (await (await fetch(`${server.url}/api/admin/v1/openapi.json`)).json()) as OpenApi
  ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(closed(structuredClone(document)) as object, 'document')
})
after(() => server.close())

test(`every answer is as the document says, whatever is sent (FUZZ_SEED=${SEED})`, async () => {
  const described = describedOperations(document)
  for (const { path, method, parameters } of described)
    if (method === 'get' && parameters.every((each) => each.in !== 'path'))
      learnThings(path, (await ops.send('GET', path)).body)
  // What shows things comes first, so that later requests find them; what removes them comes last.
  const order = ['get', 'post', 'put', 'patch', 'delete']
  const sorted = described.toSorted((one, other) => order.indexOf(one.method) - order.indexOf(other.method))
  for (const each of sorted) {
    await fc.assert(
      fc.asyncProperty(requestsTo(each), async (sent) => check(each, sent, await send(each, sent))),
      { seed: SEED, numRuns: Math.max(5, Math.ceil(REQUESTS / described.length)), endOnFailure: true },
    )
  }
  // Chance may leave these out.
  const group = described.find(({ path, method }) => path === '/groups' && method === 'post') ?? assert.fail()
  for (const [body, type] of [
    ['{', 'application/json'],
    ['{}', 'text/plain'],
    ['{}', 'application/json'],
  ] as const) {
    const sent = { path: '/groups', body, headers: { 'Content-Type': type } }
    check(group, sent, await send(group, sent))
  }
  const count = (from: number, below: number) =>
    [...statuses].reduce((sum, [status, times]) => (status >= from && status < below ? sum + times : sum), 0)
  console.log(
    `  ${[...statuses]
      .toSorted()
      .map((pair) => pair.join(': '))
      .join(', ')}`,
  )
  assert.ok(count(200, 300) > REQUESTS / 20, 'hardly any request succeeded')
  for (const status of [400, 404, 415, 422]) assert.ok((statuses.get(status) ?? 0) > 0, `no ${status}`)
  assert.doesNotMatch(server.log(), /"level":"?(?:50|60|error|fatal)/)
})

test('JSON of any depth is answered', async () => {
  for (const depth of [10, 1000, 100_000]) {
    const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`
    const objects = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    for (const body of [deep, objects, `{"jwks":{"keys":[{"kty":${deep}}]}}`, `{"jwks":{"keys":[${objects}]}}`]) {
      const { status } = await ops.send('PATCH', '/apps/notes', body)
      assert.ok(status === 400 || status === 422, `${status} at depth ${depth}`)
    }
  }
})

interface Sent {
  path: string
  body: string | undefined
  headers: Record<string, string>
}

async function send({ method }: Described, { path, body, headers }: Sent): Promise<ApiAnswer> {
  return ops.send(method.toUpperCase(), path, body, headers)
}

/** Requests that are valid, nearly valid, or nothing of the kind. */
function requestsTo({ path, method, parameters, requestBody }: Described): fc.Arbitrary<Sent> {
  const values = (schema: Schema) => valuesOf(schema, document, () => [...known])
  const hostile = fc.constantFrom(...HOSTILE)
  const paths = fc.record(
    Object.fromEntries(
      parameters
        .filter((each) => each.in === 'path')
        .map(({ name, schema }) => [
          name,
          fc.oneof(
            { weight: 8, arbitrary: thingsOf(name) },
            { weight: 1, arbitrary: values(schema) },
            { weight: 1, arbitrary: hostile },
          ),
        ]),
    ),
  )
  const query = mutated(
    fc.record(
      Object.fromEntries(
        parameters.filter((each) => each.in === 'query').map(({ name, schema }) => [name, values(schema)]),
      ),
      { requiredKeys: [] },
    ),
  )
  const schema = requestBody?.content['application/json'].schema
  const json = (schema === undefined ? fc.constant({}) : mutated(values(schema))).map((value) => JSON.stringify(value))
  const bodies = fc.oneof(
    { weight: 9, arbitrary: json },
    {
      weight: 1,
      arbitrary: fc.constantFrom('', '{', '[]', 'null', '"x"', '{"a":1e999}', '{"__proto__":{}}', '\ufeff{}'),
    },
  )
  const types = fc.oneof(
    { weight: 19, arbitrary: fc.constant<Record<string, string>>({ 'Content-Type': 'application/json' }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom({ 'Content-Type': 'text/plain' }, { 'Content-Type': 'application/json;x=y' }),
    },
  )
  const extra = fc.oneof(
    { weight: 9, arbitrary: fc.constant<Record<string, string>>({}) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Record<string, string>[]>(
        { 'If-Match': '"x"' },
        { 'If-Match': '*' },
        { 'If-None-Match': '*' },
        { 'Idempotency-Key': 'one' },
        { 'Idempotency-Key': '' },
        { Accept: 'image/png' },
      ),
    },
  )
  const hasBody = method !== 'get' && method !== 'delete'
  return fc.tuple(paths, query, bodies, types, extra).map(([named, fields, body, type, headers]) => {
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => inPath((named as Record<string, unknown>)[name]))
    const search = new URLSearchParams(
      Object.entries(fields as object).map(([name, value]): [string, string] => [
        name,
        typeof value === 'object' ? JSON.stringify(value) : String(value),
      ]),
    )
    return {
      path: hasBody || search.size === 0 ? filled : `${filled}?${search}`,
      body: hasBody ? body : undefined,
      headers: hasBody ? { ...type, ...headers } : headers,
    }
  })
}

/** One of the things that a parameter stands for, as far as they are known when it is needed. */
function thingsOf(parameter: string): fc.Arbitrary<string> {
  return fc.nat().map((at) => {
    const values = [...(things.get(parameter) ?? known)]
    return values[at % values.length] as string
  })
}

/** Objects, of which some have a field too many, one too few, or one with a value of another kind. */
function mutated(objects: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const changes = fc.constantFrom('none', 'none', 'none', 'none', 'none', 'add', 'drop', 'replace')
  return fc.tuple(objects, changes, fc.nat(), fc.constantFrom(...HOSTILE)).map(([value, change, at, hostile]) => {
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value)
    const chosen = entries[at % Math.max(1, entries.length)]?.[0]
    if (change === 'add') return { ...value, [String(hostile)]: hostile }
    if (chosen === undefined || change === 'none') return value
    return Object.fromEntries(
      entries.flatMap(([name, each]) =>
        name !== chosen ? [[name, each]] : change === 'drop' ? [] : [[name, hostile]],
      ),
    )
  })
}

/** As a part of a path. Dots alone would be another path, and so would nothing. */
function inPath(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (/^\.{0,2}$/.test(text)) return 'nothing'
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80'
}

function check({ path, method, responses }: Described, sent: Sent, { status, headers, body }: ApiAnswer): void {
  statuses.set(status, (statuses.get(status) ?? 0) + 1)
  const told = `${method} ${JSON.stringify(sent)} was answered ${status} ${JSON.stringify(body)}`
  assert.ok(status < 500, told)
  assert.ok(String(status) in responses, `${told}, which is not documented`)
  const type = headers.get('content-type')
  const at = locate(path, method, String(status), responses[String(status)] as Answer)
  const types = Object.keys(at.answer.content ?? {})
  assert.ok(type === null ? types.length === 0 : types.includes(type), `${told} as ${type}`)
  if (type === null) return assert.equal(body, null, told)
  const validate = ajv.getSchema(`document#${at.pointer}/content/${escaped(type)}/schema`)
  assert.ok(validate?.(body ?? ''), `${told}: ${JSON.stringify(validate?.errors)}`)
  if (status < 300 && type === 'application/json') {
    learn(body)
    learnThings(path, body)
  }
}

/** A response of the document, and where it is. */
function locate(path: string, method: string, status: string, answer: Answer): { answer: Answer; pointer: string } {
  const { $ref: reference } = answer
  if (reference === undefined) return { answer, pointer: `/paths/${escaped(path)}/${method}/responses/${status}` }
  const found = document.components.responses[reference.split('/').at(-1) as string] as Answer
  return { answer: found, pointer: reference.slice(1) }
}

/** A part of a JSON pointer in a URI. */
function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
}

/** Remembers the ids and names that an answer has. The caller itself must stay as it is. */
function learn(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [name, each] of Object.entries(value)) {
    const isName = /^(?:.*_)?id$|^(?:name|username|email|identifier)$/.test(name)
    if (isName && typeof each === 'string' && each !== 'the-caller' && !each.startsWith(server.url)) known.add(each)
    learn(each)
  }
}

/** Remembers what the parameters of paths below this one stand for. */
function learnThings(path: string, body: { items?: Record<string, unknown>[] } & Record<string, unknown>): void {
  for (const one of body?.items ?? [body])
    for (const below of Object.keys(document.paths)) {
      const [, parameter] = below.startsWith(`${path}/{`)
        ? (/^\{(\w+)\}$/.exec(below.slice(path.length + 1)) ?? [])
        : []
      const id = one?.['id'] ?? one?.['client_id'] ?? one?.['identity_id']
      if (parameter === undefined || typeof id !== 'string' || id === 'the-caller') continue
      things.set(parameter, (things.get(parameter) ?? new Set()).add(id))
    }
}

/** The document, whose answers may have no field that it does not name. */
function closed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  for (const each of Object.values(value)) closed(each)
  const schema = value as Schema
  if (schema.type === 'object' && schema.properties !== undefined) schema.additionalProperties ??= false
  return value
}
