import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { PROBE_HEADER } from '../../domain/keys/probes.ts'
import { createLogger } from '../../logger.ts'
import type { TrustProxy } from '../../domain/trusted-proxies.ts'
import { createClientIpReader, parseAddress } from './client-ip.ts'

const PROXY = '10.0.0.1'

function readerFor(trustProxy: TrustProxy) {
  const lines: string[] = []
  const destination = new Writable({
    write(line: Buffer, _encoding, done) {
      lines.push(line.toString())
      done()
    },
  })
  const ignored: number[] = []
  const find = createClientIpReader(trustProxy, createLogger('info', destination), () => void ignored.push(1))
  return {
    lines,
    ignored,
    find: (forwarded: string | undefined, remoteAddress: string | undefined = PROXY, others: object = {}) =>
      find({
        socket: { remoteAddress },
        headers: { ...(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }), ...others },
      } as unknown as IncomingMessage),
  }
}

for (const [text, address] of [
  ['203.0.113.2', '203.0.113.2'],
  ['203.0.113.2:50001', '203.0.113.2'],
  ['203.0.113.2:0', '203.0.113.2'],
  ['2001:db8::1', '2001:db8::1'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['[fe80::1%25eth0]:443', 'fe80::1'],
  ['[fe80::1%eth0.7]:443', 'fe80::1'],
  ['::ffff:203.0.113.2', '203.0.113.2'],
  ['::FFFF:cb00:7102', '203.0.113.2'],
  ['0:0:0:0:0:ffff:203.0.113.2', '203.0.113.2'],
  ['[::ffff:203.0.113.2]:50001', '203.0.113.2'],
  ['::', '::'],
  ['', null],
  ['unknown', null],
  ['_hidden', null],
  ['localhost', null],
  ['203.0.113', null],
  ['203.0.113.256', null],
  ['203.0.113.02', null],
  ['0xcb.0.113.2', null],
  ['3405803778', null],
  ['203.0.113.2:', null],
  ['203.0.113.2:x', null],
  ['203.0.113.2:123456', null],
  ['203.0.113.2%eth0', null],
  ['203.0.113.2/32', null],
  ['203.0.113.2 203.0.113.3', null],
  ['[203.0.113.2]', null],
  ['[2001:db8::1', null],
  ['2001:db8::1]', null],
  ['[2001:db8::1]443', null],
  ['[2001:db8::1]:', null],
  ['2001:db8::1::2', null],
  ['2001:db8::1%', null],
  ['"203.0.113.2"', null],
  ['for=203.0.113.2', null],
  ['<script>alert(1)</script>', null],
  ['203.0.113.2\u00a0', null],
  [`203.0.113.2${' '.repeat(10)}x`, null],
  ['1'.repeat(3000), null],
] as const)
  test(`${JSON.stringify(text.slice(0, 60))} is ${address ?? 'no address'}`, () => {
    assert.equal(parseAddress(text), address)
  })

const HOPS = Array.from({ length: 50 }, (_, hop) => `198.51.100.${hop + 1}`).join(', ')

for (const [what, trustProxy, forwarded, address] of [
  ['no proxy is trusted', false, '203.0.113.2', PROXY],
  ['no proxy is trusted by number', 0, '203.0.113.2', PROXY],
  ['a proxy says nothing', 1, undefined, PROXY],
  ['one proxy is trusted', 1, '203.0.113.2', '203.0.113.2'],
  ['a client invents a hop', 1, '198.51.100.9, 203.0.113.2', '203.0.113.2'],
  ['a client invents nonsense', 1, '<script>, \u00ff,, 203.0.113.2', '203.0.113.2'],
  ['a client invents 50 hops', 1, `${HOPS}, 203.0.113.2:1`, '203.0.113.2'],
  ['a client invents 3,000 characters', 1, `${'x'.repeat(3000)}, 203.0.113.2`, '203.0.113.2'],
  ['two proxies are trusted', 2, '198.51.100.9, 203.0.113.2, 10.0.0.2', '203.0.113.2'],
  ['more proxies are trusted than there are', 5, '203.0.113.2', '203.0.113.2'],
  ['every proxy is trusted', true, HOPS, '198.51.100.1'],
  ['proxies are trusted by network', '10.0.0.0/8, 192.0.2.7', '198.51.100.9, 203.0.113.2, 192.0.2.7:80', '203.0.113.2'],
  ['the peer is in no trusted network', '192.0.2.0/24', '203.0.113.2', PROXY],
  ['the trusted proxy writes nonsense', 1, '203.0.113.2, unknown', PROXY],
  ['the trusted proxy writes nothing', 1, '203.0.113.2, ', PROXY],
  ['the trusted proxy writes 3,000 characters', 1, 'x'.repeat(3000), PROXY],
  ['a hop between trusted proxies is nonsense', 2, '203.0.113.2, _x, 10.0.0.2', PROXY],
] as const)
  test(`when ${what}, ${address} counts`, () => {
    assert.equal(readerFor(trustProxy).find(forwarded), address)
  })

test('all ways to write one address are the same address, for the peer too', () => {
  const { find } = readerFor(1)
  const ways = ['203.0.113.2', '203.0.113.2:1', '203.0.113.2:50001', '::ffff:203.0.113.2', '[::ffff:cb00:7102]:9']
  assert.deepEqual([...new Set(ways.map((way) => find(way)))], ['203.0.113.2'])
  assert.equal(find(undefined, '::ffff:203.0.113.2'), '203.0.113.2')
  assert.equal(find(undefined, 'fe80::1%eth0'), 'fe80::1')
})

test('a client that has reset its connection has no address, whatever it sent', () => {
  const { find } = readerFor(true)
  assert.equal(find('203.0.113.2', ''), null)
  assert.equal(readerFor(true).find(undefined, ''), null)
})

test('Forwarded and X-Real-IP have no say', () => {
  const others = { forwarded: 'for=203.0.113.2', 'x-real-ip': '203.0.113.2', 'x-client-ip': '203.0.113.2' }
  assert.equal(readerFor(true).find(undefined, PROXY, others), PROXY)
})

test('what is wrong with X-Forwarded-For is logged once, with a short piece of it', () => {
  for (const [trustProxy, words] of [
    [1, /X-Forwarded-For holds something other than an IP address/],
    [false, /X-Forwarded-For is ignored while TRUST_PROXY is off/],
  ] as const) {
    const { find, lines } = readerFor(trustProxy)
    for (let turn = 0; turn < 50; turn++) find(`nonsense-${turn}${'x'.repeat(3000)}`)
    assert.equal(lines.length, 1)
    assert.match(lines[0] as string, words)
    assert.ok((lines[0] as string).length < 400)
  }
  const { find, lines } = readerFor(1)
  find('203.0.113.2')
  assert.deepEqual(lines, [])
})

test('that X-Forwarded-For is ignored is noted once, and not because of the doctor', () => {
  const { find, ignored, lines } = readerFor(false)
  find('203.0.113.2', PROXY, { [PROBE_HEADER]: 'x' })
  assert.deepEqual([ignored.length, lines.length], [0, 0])
  for (let turn = 0; turn < 3; turn++) find('203.0.113.2')
  assert.deepEqual([ignored.length, lines.length], [1, 1])
  const trusting = readerFor(1)
  trusting.find('203.0.113.2')
  assert.equal(trusting.ignored.length, 0)
})
