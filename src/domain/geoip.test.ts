import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ConfigError } from '../config.ts'
import { englishTexts, textsFor } from '../i18n/texts.ts'
import { gatehouse } from '../testing/portal/gatehouse.ts'
import { writePlaceDatabase } from '../testing/portal/geoip-database.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { ipMessage, openGeoIp } from './geoip.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-geoip-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string) => join(folder, name)

const NETWORKS = {
  '203.0.113.0/24': { city: 'Berlin', country: 'Germany' },
  '198.51.100.128/25': { country: 'France' },
  '192.0.2.7/32': { city: 'Singapore', country: 'Singapore' },
}
const NETWORKS_6 = { '2001:db8::/32': { city: 'Zürich', country: 'Switzerland' }, '2001:db9:1::7/128': {} }

for (const recordSize of [24, 28, 32] as const) {
  test(`IP addresses have locations, from a file with records of ${recordSize} bits`, async () => {
    writePlaceDatabase(file('places.mmdb'), { ...NETWORKS, ...NETWORKS_6 }, { recordSize })
    const { locationOf } = await openGeoIp(file('places.mmdb'))
    assert.equal(locationOf('203.0.113.7')?.names.en, 'Berlin, Germany')
    assert.equal(locationOf('198.51.100.200')?.names.en, 'France')
    assert.equal(locationOf('192.0.2.7')?.names.en, 'Singapore')
    assert.equal(locationOf('2001:db8::1')?.names.en, 'Zürich, Switzerland')
    for (const nowhere of ['198.51.100.7', '203.0.114.1', '10.0.0.1', '::1', '2001:dc8::1', '2001:db9:1::7']) {
      assert.equal(locationOf(nowhere), null, nowhere)
    }
  })
}

test('a location has its names in the languages of the database, else the English one', async () => {
  writePlaceDatabase(file('languages.mmdb'), {
    '203.0.113.0/24': {
      city: { en: 'Munich', de: 'München' },
      country: { en: 'Germany', de: 'Deutschland', fr: 'Allemagne' },
    },
  })
  const geoip = await openGeoIp(file('languages.mmdb'))
  const places = { en: 'Munich, Germany', de: 'München, Deutschland', fr: 'Munich, Allemagne' }
  assert.deepEqual(geoip.locationOf('203.0.113.7'), { names: places })
  const said = (language: string) =>
    textsFor(language, { organisation: 'Gatehouse' }).say(ipMessage({ geoip }, '203.0.113.7'))
  assert.equal(said('en'), '203.0.113.7 (Munich, Germany)')
  assert.equal(said('de'), '203.0.113.7 (München, Deutschland)')
  assert.equal(said('ja'), '203.0.113.7（Munich, Germany）')
})

test('a database of IPv4 has no location of IPv6, and text that is no IP address has none', async () => {
  writePlaceDatabase(file('ipv4.mmdb'), NETWORKS, { ipVersion: 4 })
  const { locationOf } = await openGeoIp(file('ipv4.mmdb'))
  assert.equal(locationOf('203.0.113.7')?.names.en, 'Berlin, Germany')
  for (const other of ['cb00:7107::', '2001:db8::1', '', 'unknown', '203.0.113', '203.0.113.999', 'fe80::1%eth0']) {
    assert.equal(locationOf(other), null, other)
  }
})

test('the location stands behind its IP address, and without a database there is none', async () => {
  writePlaceDatabase(file('words.mmdb'), NETWORKS)
  const geoip = await openGeoIp(file('words.mmdb'))
  assert.equal(englishTexts().say(ipMessage({ geoip }, '203.0.113.7')), '203.0.113.7 (Berlin, Germany)')
  assert.equal(englishTexts().say(ipMessage({ geoip }, '192.0.2.1')), '192.0.2.1')
  assert.equal(englishTexts().say(ipMessage({ geoip: await openGeoIp(null) }, '203.0.113.7')), '203.0.113.7')
})

test('a file that is missing, cut off, packed or something else is a wrong setting', async () => {
  writePlaceDatabase(file('whole.mmdb'), NETWORKS)
  const whole = readFileSync(file('whole.mmdb'))
  const broken = {
    'cut.mmdb': whole.subarray(0, whole.length / 2),
    'packed.mmdb': gzipSync(whole),
    'headless.mmdb': whole.subarray(whole.length / 2),
    'empty.mmdb': Buffer.alloc(0),
    'text.mmdb': Buffer.from('this is no database'),
  }
  for (const [name, bytes] of Object.entries(broken)) {
    writeFileSync(file(name), bytes)
    await assert.rejects(openGeoIp(file(name)), (error) => isWrongSetting(error, /is not a MaxMind DB/), name)
  }
  for (const missing of [file('nowhere.mmdb'), folder]) {
    await assert.rejects(openGeoIp(missing), (error) => isWrongSetting(error, /cannot be read/), missing)
  }
})

test('a damaged record gives no location and no error', async () => {
  writePlaceDatabase(file('hole.mmdb'), NETWORKS)
  const bytes = readFileSync(file('hole.mmdb'))
  const at = bytes.indexOf('Berlin') - 1
  bytes.fill(0xff, at, at + 4)
  writeFileSync(file('hole.mmdb'), bytes)
  const { locationOf } = await openGeoIp(file('hole.mmdb'))
  assert.equal(locationOf('203.0.113.7'), null)
  assert.equal(locationOf('198.51.100.200')?.names.en, 'France')
})

test('the portal does not start with such a file, and says why on two lines', async () => {
  const env = { GATEHOUSE_SECRET: TEST_SECRET, GEOIP_DATABASE: file('nowhere.mmdb'), DATA_DIR: folder }
  const { code, stdout, stderr } = await gatehouse(['serve'], env)
  assert.deepEqual([code, stdout], [1, ''])
  assert.equal(stderr, 'Gatehouse cannot start: one setting is wrong.\n  GEOIP_DATABASE: the file cannot be read\n')
})

function isWrongSetting(error: unknown, words: RegExp): boolean {
  return error instanceof ConfigError && /GEOIP_DATABASE/.test(error.message) && words.test(error.message)
}
