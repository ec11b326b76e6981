import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../config.ts'
import { readRemoteSettings } from './remote-settings.ts'

const SECRET = 'CANARY-secret'
const complete = {
  GATEHOUSE_URL: 'https://id.example.test',
  GATEHOUSE_CLIENT_ID: 'ops',
  GATEHOUSE_CLIENT_SECRET: SECRET,
}

test('without GATEHOUSE_URL commands work on the portal of this machine', () => {
  assert.equal(readRemoteSettings({}), null)
  assert.equal(readRemoteSettings({ ...complete, GATEHOUSE_URL: '' }), null)
})

test('the settings of a portal elsewhere are read, its URL as an issuer', () => {
  const { url, clientId, clientSecret } = readRemoteSettings({
    ...complete,
    GATEHOUSE_URL: 'https://ID.example.test:443/',
  })!
  assert.deepEqual([url, clientId, clientSecret], ['https://id.example.test', 'ops', SECRET])
  for (const local of ['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000', 'http://id.localhost'])
    assert.equal(readRemoteSettings({ ...complete, GATEHOUSE_URL: local })?.url, local)
})

test('no secret is sent over http to another machine, nor to what is no origin', () => {
  for (const GATEHOUSE_URL of [
    'http://id.example.test',
    'http://10.0.0.1',
    'http://localhost.example.test',
    'http://0.0.0.0:3000',
    'https://id.example.test/portal',
    'https://user:password@id.example.test',
    'ftp://id.example.test',
    'id.example.test',
  ])
    assert.throws(() => readRemoteSettings({ ...complete, GATEHOUSE_URL }), /GATEHOUSE_URL: must/, GATEHOUSE_URL)
})

test('what is missing is named, all at once, and no value is shown', () => {
  assert.throws(() => readRemoteSettings({ GATEHOUSE_URL: complete.GATEHOUSE_URL }), {
    constructor: ConfigError,
    message: /\n {2}GATEHOUSE_CLIENT_ID: must be set.*\n {2}GATEHOUSE_CLIENT_SECRET: must be set/,
  })
  const twice = { ...complete, GATEHOUSE_CLIENT_SECRET_FILE: '/nowhere' }
  assert.throws(
    () => readRemoteSettings(twice),
    ({ message }: Error) => message.includes('is set twice') && !message.includes(SECRET),
  )
  const { GATEHOUSE_CLIENT_SECRET: _, ...withoutSecret } = twice
  assert.throws(() => readRemoteSettings(withoutSecret), /GATEHOUSE_CLIENT_SECRET_FILE: the file cannot be read/)
})
