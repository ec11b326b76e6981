import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findMisspelt } from './misspelt.ts'

test('only what resembles a setting is taken for a misspelt one', () => {
  const found = (name: string) => findMisspelt({ [name]: 'x' })[0]?.[1]
  for (const [given, meant] of [
    ['SMTP_URI', 'SMTP_URL'],
    ['APPLICATION_TOKEN_TLL', 'APPLICATION_TOKEN_TTL'],
    ['DATABSE_URL', 'DATABASE_URL'],
    ['REDIS_URL_FIEL', 'REDIS_URL_FILE'],
    ['public_url', 'PUBLIC_URL'],
    ['GATEHOUSE_SMTP_URL', 'SMTP_URL'],
    ['TRUSTPROXY', 'TRUST_PROXY'],
    ['STORE_TIMEOUTMS', 'STORE_TIMEOUT_MS'],
    // The name to use is the one of today.
    ['FREE_GUESES', 'LOGIN_ATTEMPTS_BEFORE_DELAY'],
    ['SUSPENSIONS', 'IP_BLOCK_DURATION'],
  ] as const)
    assert.equal(found(given), meant)
  for (const other of [
    'PATH',
    'HOME',
    'HOSTNAME',
    'PGHOST',
    'XDG_DATA_DIRS',
    'npm_config_yes',
    'LOGNAME',
    'NODE_OPTIONS',
    'NODE_PATH',
    'MAIL',
    'SMTP_URL',
    'DATABASE_URL_FILE',
    'STORE_PATIENCE',
    'SUSPENSION',
  ])
    assert.equal(found(other), undefined, other)
})
