// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { notesApp, photosApp, televisionApp } from './testing/portal/apps.ts'
import { Client } from './testing/browser/client.ts'
import { createClock } from './testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from './testing/portal/databases.ts'
import { ada } from './testing/portal/people.ts'
import { startTestServer, type TestServer } from './testing/portal/server.ts'
import { countStock } from './testing/portal/stock.ts'

const CALLBACK = 'https://notes.example.test/callback'
const LONG = 'x'.repeat(8000)
const REQUESTS = 250
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

// What may be left of any number of such requests: a counter or two of the address, and what the comment says.
for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`what strangers leave in the stores (${kind})`, () => {
    const clock = createClock()
    let database: TestDatabase
    let server: TestServer
    let notes: Client
    let photos: Client
    let network = 0

    before(async () => {
      database = await createDatabase(kind)
      const env = {
        TRUST_PROXY: 'true',
        LOGIN_ATTEMPTS_BEFORE_DELAY: '5',
        IP_BLOCK_AFTER: '10',
        IN_PROCESS_WORKER: 'false',
      }
      server = await startTestServer({ database, clock, env })
      await server.addIdentity(ada)
      notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
      photos = new Client(
        server.url,
        'photos',
        await server.addApp('photos', { ...photosApp, firstPartyDirect: true }),
        'https://photos.example.test/',
      )
      await server.addApp('tv', televisionApp)
    })
    after(async () => {
      await server.close()
      await database.drop()
    })

    /** One stranger: a customer's /64, from which each request comes from another address. */
    function stranger(): (path: string, form?: Record<string, string>) => Promise<Response> {
      const prefix = `2001:db8:0:${(++network).toString(16)}`
      let host = 0
      return (path, form) =>
        fetch(new URL(path, server.url), {
          redirect: 'manual',
          method: form === undefined ? 'GET' : 'POST',
          body: form === undefined ? null : new URLSearchParams(form),
          headers: {
            'x-forwarded-for': `${prefix}::${(++host).toString(16)}`,
            ...(path === '/login' ? { origin: server.url } : {}),
          },
        })
    }

    async function repeat(times: number, ask: (index: number) => Promise<Response>): Promise<number[]> {
      const statuses = new Set<number>()
      for (let index = 0; index < times; index += 25) {
        const answers = await Promise.all(
          Array.from({ length: Math.min(25, times - index) }, async (_, each) => {
            const answer = await ask(index + each)
            await answer.arrayBuffer()
            return answer.status
          }),
        )
        for (const status of answers) statuses.add(status)
      }
      return [...statuses].toSorted()
    }

    for (const [what, times, ask, statuses, records, bytes] of [
      ['authorization requests', REQUESTS, (send) => send(notes.authorizeUrl({ state: 'x'.repeat(500) })), [303], 0, 0],
      // A hundred are kept, with what counts them.
      [
        'long authorization requests',
        REQUESTS,
        (send) => send(notes.authorizeUrl({ state: LONG })),
        [303],
        102,
        1_000_000,
      ],
      [
        'requests that are too long',
        REQUESTS,
        (send) => send(notes.authorizeUrl({ state: LONG + LONG.slice(2000) })),
        [303],
        0,
        0,
      ],
      // A hundred of them, their places, and what counts them.
      [
        'pushed requests in the name of a public client',
        REQUESTS,
        (send) => send('/oauth/par', push(photos)),
        [201],
        201,
        250_000,
      ],
      // As pushed requests.
      [
        'direct sign-ins in the name of a public client',
        REQUESTS,
        (send) => send('/oauth/authorize-challenge', push(photos)),
        [403],
        201,
        400_000,
      ],
      ['pushed requests that are too long', 25, (send) => send('/oauth/par', push(photos, LONG + LONG)), [400], 0, 0],
      ['sign-in pages', 50, (send, n) => send(`/login?return_to=/sessions?${n}`), [200], 0, 0],
      ['pages of the portal', 50, (send) => send('/dashboard'), [303], 0, 0],
      ['links of mails that were never sent', 50, (send, n) => send(`/reset-password/token-${n}`), [404], 0, 0],
      ['sign-outs', 50, (send) => send(`/oauth/logout?client_id=notes&state=${LONG}`), [303], 0, 0],
      // A hundred of them and, in Redis, their user codes, with what counts them.
      [
        'device requests in the name of a public client',
        REQUESTS,
        (send) => send('/oauth/device', { client_id: 'tv', scope: 'openid' }),
        [200, 429],
        202,
        150_000,
      ],
      [
        'device requests that are too long',
        25,
        (send) => send('/oauth/device', { client_id: 'tv', acr_values: LONG + LONG }),
        [400],
        0,
        0,
      ],
      [
        'device codes that were never given',
        50,
        (send, n) => send('/oauth/token', { client_id: 'tv', grant_type: DEVICE_GRANT, device_code: `code-${n}` }),
        [400],
        0,
        0,
      ],
      ['codes that were never given', 50, (send, n) => send('/oauth/token', redeem(photos, n)), [400], 0, 0],
      // The last, because the overview counts refused sign-ins, and the portal writes that down some seconds later.
      // Ten wrong guesses by name and by name and address, a block, the audit events of these, and of sixty others.
      [
        'sign-ins with unknown user names',
        REQUESTS,
        (send, n) => send('/login', { login: `nobody-${n}`, password: 'a wrong password' }),
        // 503 while as many of one address wait for their turn as may.
        [401, 429, 503],
        145,
        40_000,
      ],
      // The same for a hundred kept sign-ins and their places.
      [
        'direct sign-ins with unknown user names',
        REQUESTS,
        (send, n) =>
          send('/oauth/authorize-challenge', { ...push(photos), login: `nobody-${n}`, password: 'a wrong password' }),
        [403, 429, 503],
        346,
        450_000,
      ],
    ] as [
      string,
      number,
      (send: ReturnType<typeof stranger>, index: number) => Promise<Response>,
      number[],
      number,
      number,
    ][]) {
      test(`${times} ${what} leave at most ${records} records`, async () => {
        const send = stranger()
        const empty = await countStock(database)
        const answered = await repeat(times, (index) => ask(send, index))
        assert.deepEqual(
          answered.filter((status) => !statuses.includes(status)),
          [],
        )
        const left = await countStock(database)
        assert.ok(left.records - empty.records <= records, `${left.records - empty.records} records`)
        assert.ok(left.bytes - empty.bytes <= bytes, `${left.bytes - empty.bytes} bytes`)
      })
    }
  })

function push(client: Client, state = 'state'): Record<string, string> {
  return Object.fromEntries(new URL(client.authorizeUrl({ state })).searchParams)
}

function redeem({ id, redirectUri, verifier }: Client, index: number): Record<string, string> {
  return {
    grant_type: 'authorization_code',
    client_id: id,
    code: `code-${index}`,
    redirect_uri: redirectUri,
    code_verifier: verifier,
  }
}
