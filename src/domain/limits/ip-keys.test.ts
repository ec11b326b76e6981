import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipKey, isIpAddress } from './ip-keys.ts'

for (const [written, key] of [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:0201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::/64', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8::/64'],
  ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
  ['fe80::1%eth0', 'fe80::/64'],
  ['::1', '::/64'],
  ['1::', '1::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b::/64'],
] as const) {
  test(`attempts from ${written} count for ${key}`, () => {
    assert.equal(ipKey(written), key)
    assert.equal(isIpAddress(written), true)
  })
}

test('neighbours in IPv4 and neighbouring networks in IPv6 have different keys', () => {
  assert.notEqual(ipKey('192.0.2.1'), ipKey('192.0.2.2'))
  assert.notEqual(ipKey('2001:db8:1:2::1'), ipKey('2001:db8:1:3::1'))
})

for (const text of ['', 'ada', '192.0.2.256', '192.0.2.1.5', '2001:db8::1::2', 'example.test', ':::']) {
  test(`${JSON.stringify(text)} is no address, and is only itself`, () => {
    assert.equal(isIpAddress(text), false)
    assert.equal(ipKey(text), text)
  })
}
