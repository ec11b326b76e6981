import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readConfig } from '../config.ts'
import { type Authority, createAuthority } from '../testing/network/authority.ts'
import { BASE, PORTAL, startDirectory } from '../testing/services/directories.ts'
import type { Slapd } from '../testing/services/slapd.ts'
import { examineDirectory } from './directory.ts'

let authority: Authority
let directory: Slapd
let clean: NodeJS.ProcessEnv

before(async () => {
  authority = await createAuthority()
  directory = await startDirectory(await authority.issue('localhost'))
  clean = {
    GATEHOUSE_SECRET: 'x0123456789'.repeat(4),
    IDENTITY_SOURCE_URL: `ldaps://localhost:${directory.tlsPort}/${BASE}`,
    IDENTITY_SOURCE_SECRET: PORTAL.password,
    LDAP_BIND_DN: PORTAL.dn,
    LDAP_CA_FILE: authority.file,
    LDAP_ROLE_GROUPS: `someone=ou=groups,${BASE}`,
  }
})
after(async () => {
  await directory.stop()
  await authority.remove()
})

async function look(change: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const found = await examineDirectory({ config: readConfig({ ...clean, ...change }) })
  return found.map(({ code, change: line }) => `${code}: ${line}`)
}

test('a directory that answers is no finding, and neither is none', async () => {
  assert.deepEqual(await look(), [])
  const none = { IDENTITY_SOURCE_URL: undefined, IDENTITY_SOURCE_SECRET: undefined, LDAP_BIND_DN: undefined }
  assert.deepEqual(await look(none), [])
  const url = `ldap://127.0.0.1:${directory.port}/${BASE}`
  assert.deepEqual(await look({ IDENTITY_SOURCE_URL: url }), [])
})

test('each fault is found, with the line to change', async () => {
  const nowhere = `ldaps://localhost:9/${BASE}`
  assert.deepEqual(await look({ IDENTITY_SOURCE_URL: nowhere }), [
    `directory_unreachable: IDENTITY_SOURCE_URL=${nowhere}`,
  ])
  assert.deepEqual(await look({ LDAP_CA_FILE: undefined }), [
    'directory_certificate: LDAP_CA_FILE=/etc/gatehouse/directory-ca.pem',
  ])
  const byAddress = `ldaps://127.0.0.1:${directory.tlsPort}/${BASE}`
  assert.deepEqual(await look({ IDENTITY_SOURCE_URL: byAddress }), [
    `directory_certificate: IDENTITY_SOURCE_URL=${byAddress}`,
  ])
  for (const wrong of [{ IDENTITY_SOURCE_SECRET: 'wrong' }, { LDAP_BIND_DN: `cn=none,${BASE}` }])
    assert.deepEqual(await look(wrong), [`directory_login: LDAP_BIND_DN=${wrong.LDAP_BIND_DN ?? PORTAL.dn}`])
  const elsewhere = `ldaps://localhost:${directory.tlsPort}/ou=none,${BASE}`
  assert.deepEqual(await look({ IDENTITY_SOURCE_URL: elsewhere }), [`directory_base: IDENTITY_SOURCE_URL=${elsewhere}`])
  assert.deepEqual(await look({ LDAP_ROLE_GROUPS: `a=ou=groups,${BASE};b=cn=none,${BASE}` }), [
    'directory_group: LDAP_ROLE_GROUPS=…',
  ])
})
