import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { createPasswordRange } from './password-range.ts'

// Of SHA-1 5BAA6 1E4C9B93F3F0682250B6CF8331B7EE68FD8.
const KNOWN = 'password'
const REST = '1E4C9B93F3F0682250B6CF8331B7EE68FD8'

let answer: (res: ServerResponse) => void
const requests: IncomingMessage[] = []
const failures: Error[] = []
const server = createServer((req, res) => {
  requests.push(req)
  answer(res)
})
let url: string

before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/range`
})
beforeEach(() => {
  requests.length = 0
  failures.length = 0
})
after(() => {
  server.closeAllConnections()
  server.close()
})

function ask(password: string, address = url): Promise<boolean> {
  return createPasswordRange(address, (error) => failures.push(error))(password)
}

test('a stolen password is found, by five hex digits of its SHA-1', async () => {
  answer = (res) => res.end(`0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n${REST}:52256179\r\n`)
  assert.equal(await ask(KNOWN), true)
  assert.deepEqual([requests[0]?.method, requests[0]?.url], ['GET', '/range/5BAA6'])
  assert.equal(requests[0]?.headers['add-padding'], 'true')
  assert.equal(await ask(KNOWN, `${url}/`), true)
  assert.equal(requests[1]?.url, '/range/5BAA6')
})

test('one password is asked for however a keyboard composed its accents', async () => {
  answer = (res) => res.end('')
  await ask('mot de passe caché'.normalize('NFC'))
  await ask('mot de passe caché'.normalize('NFD'))
  assert.equal(requests[0]?.url, requests[1]?.url)
})

for (const [name, lines] of [
  ['one that the service does not know', '0018A45C4D1DEF81644B54AB7F969B88D65:1\n'],
  ['one that is only there as padding', `${REST}:0\n`],
  ['nothing', ''],
  ['something else', '<!doctype html><title>Hello</title>\n'],
] as const) {
  test(`an answer that lists ${name} speaks for the password, without a complaint`, async () => {
    answer = (res) => res.end(lines)
    assert.equal(await ask(KNOWN), false)
    assert.deepEqual(failures, [])
  })
}

for (const [name, misbehave, cause] of [
  ['never answers', () => {}, /aborted due to timeout/],
  ['begins to answer and stops', (res) => res.write(`${REST}:1\n`), /aborted due to timeout/],
  ['answers without end', pour, /longer than 200000 bytes/],
  ['sends people elsewhere', (res) => res.writeHead(302, { location: '/elsewhere' }).end(`${REST}:1`), /fetch failed/],
  ['fails', (res) => res.writeHead(500).end(`${REST}:1`), /status 500/],
  ['hangs up', (res) => res.destroy(), /fetch failed/],
] satisfies [string, (res: ServerResponse) => void, RegExp][]) {
  test(`a service that ${name} is reported once and refuses no password`, async () => {
    answer = misbehave
    assert.equal(await ask(KNOWN), false)
    assert.equal(requests.length, 1)
    assert.equal(failures.length, 1)
    const { message, cause: reason } = failures[0] as Error
    assert.match((reason as Error).message, cause)
    assert.doesNotMatch(`${message} ${String(reason)}`, new RegExp(`5BAA6|${REST}`, 'i'))
  })
}

function pour(res: ServerResponse): void {
  const more = (): void => {
    if (!res.destroyed) res.write(`${'0'.repeat(35)}:1\n`.repeat(1000), more)
  }
  more()
}
