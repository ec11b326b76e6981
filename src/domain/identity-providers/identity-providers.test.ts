import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { Refused } from '../refused.ts'
import {
  changeIdentityProvider,
  createIdentityProvider,
  deleteIdentityProvider,
  findIdentityProvider,
  type IdentityProviderSettings,
  identityProvidersOffered,
  providerForLogin,
  setIdentityProviderDisabled,
} from './identity-providers.ts'

const google = { name: 'Google', issuer: 'https://accounts.google.com', clientId: 'gatehouse' }
let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

test('a domain, in any spelling, leads to one provider, while that is offered', async () => {
  await createIdentityProvider(portal, 'entra', {
    ...google,
    name: 'Entra',
    domains: ['Bücher.example', '@corp.example'],
  })
  const idFor = async (login: string) => (await providerForLogin(portal, login))?.id ?? null
  assert.equal(await idFor('ada@CORP.example'), 'entra')
  assert.equal(await idFor('ada@bücher.example'), 'entra')
  for (const login of ['ada', 'ada@sub.corp.example', 'corp.example', '@', 'ada@corp.example.evil.example'])
    assert.equal(await idFor(login), null, login)
  await assert.rejects(
    createIdentityProvider(portal, 'other', { ...google, domains: ['corp.example'] }),
    /corp\.example leads to the provider entra already/,
  )
  await setIdentityProviderDisabled(portal, 'entra', true)
  assert.deepEqual([await idFor('ada@corp.example'), await identityProvidersOffered(portal)], [null, []])
  await setIdentityProviderDisabled(portal, 'entra', false)
})

test('what cannot be is refused, and a change leaves the rest', async () => {
  for (const [id, wrong] of [
    ['UPPER', {}],
    ['a/b', {}],
    ['x', { issuer: 'http://accounts.example' }],
    ['x', { issuer: 'https://accounts.example/?a=b' }],
    ['x', { issuer: 'ftp://accounts.example' }],
    ['x', { issuer: '' }],
    ['x', { name: '' }],
    ['x', { name: 'a\0b' }],
    ['x', { clientId: '' }],
    ['x', { clientSecret: 'two words' }],
    ['x', { scopes: ['email'] }],
    ['x', { domains: ['no domain'] }],
  ] satisfies [string, Partial<IdentityProviderSettings>][])
    await assert.rejects(
      createIdentityProvider(portal, id, { ...google, ...wrong }),
      Refused,
      `${id} ${JSON.stringify(wrong)}`,
    )
  await createIdentityProvider(portal, 'google', { ...google, clientSecret: 'one' })
  await assert.rejects(createIdentityProvider(portal, 'google', google), /already/)
  const before = await findIdentityProvider(portal, 'google')
  const after = await changeIdentityProvider(portal, 'google', { registration: 'open' })
  assert.deepEqual({ ...after, registration: 'never' }, before)
  assert.equal((await changeIdentityProvider(portal, 'google', { clientSecret: null })).encryptedSecret, null)
  await deleteIdentityProvider(portal, 'google', false)
  assert.equal(await findIdentityProvider(portal, 'google'), null)
  await assert.rejects(deleteIdentityProvider(portal, 'google', false), /no provider google/)
})

test('of 20 that claim one domain at once, in two spellings, one gets it', async () => {
  const claims = Array.from({ length: 20 }, async (_, turn) =>
    createIdentityProvider(portal, `race-${turn}`, {
      ...google,
      domains: [turn % 2 === 0 ? 'GRÜN.example' : 'xn--grn-ioa.example'],
    }),
  )
  const settled = await Promise.allSettled(claims)
  assert.equal(settled.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const each of settled) if (each.status === 'rejected') assert.ok(each.reason instanceof Refused)
})

test('an issuer of Microsoft Entra names one tenant', async () => {
  for (const tenant of ['common', 'Organizations', 'consumers', '{tenantid}', '%7Btenantid%7D'])
    await assert.rejects(
      createIdentityProvider(portal, 'any-tenant', {
        ...google,
        issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
      }),
      /names one tenant/,
      tenant,
    )
})
