import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  changeIdentityProvider,
  createIdentityProvider,
  setIdentityProviderDisabled,
} from '../domain/identity-providers/identity-providers.ts'
import { deriveSecrets, type Secrets } from '../domain/keys/secrets.ts'
import { ScriptedProvider } from '../testing/network/identity-provider.ts'
import { addProvider } from '../testing/portal/identity-providers.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { examineIdentityProviders } from './identity-providers.ts'

let portal: TestPortal
let provider: ScriptedProvider

before(async () => {
  portal = await openTestPortal('postgres', { REGISTRATION: 'open' })
  provider = new ScriptedProvider(portal.clock)
  await provider.start()
  await addProvider(portal, provider, 'corp')
})
after(async () => Promise.all([portal.close(), provider.close()]))

async function look(secrets: Secrets = portal.secrets): Promise<string[]> {
  const { storage, clock } = portal
  const findings = await examineIdentityProviders({ config: portal, storage, secrets, clock })
  return findings.map(({ code, change }) => `${code}: ${change}`)
}

test('a provider that can be asked is no finding; one that cannot is, unless it is disabled', async () => {
  assert.deepEqual(await look(), [])

  const update = `gatehouse identity-provider update corp --issuer ${provider.issuer}`
  for (const [answer, expected] of [
    [{ issuer: 'https://elsewhere.example' }, `identity_provider_answer: ${update}`],
    ['not json', `identity_provider_answer: ${update}`],
    [503, 'identity_provider_unreachable: gatehouse identity-provider disable corp'],
  ] as const) {
    provider.script.answers['/.well-known/openid-configuration'] = (res) => {
      const body = typeof answer === 'object' ? JSON.stringify(answer) : String(answer)
      res.writeHead(answer === 503 ? 503 : 200, { 'content-type': 'application/json' }).end(body)
    }
    assert.deepEqual(await look(), [expected], JSON.stringify(answer))
  }
  await setIdentityProviderDisabled(portal, 'corp', true)
  assert.deepEqual(await look(), [])
  await setIdentityProviderDisabled(portal, 'corp', false)
  provider.be('someone')
})

test('a secret that is missing or cannot be opened is a finding, and so are accounts for anyone', async () => {
  const others = deriveSecrets(['another root secret of this portal'])
  const secret = 'gatehouse identity-provider update corp --client-secret-stdin < secret.txt'
  assert.deepEqual(await look(others), [`identity_provider_secret: ${secret}`])

  await createIdentityProvider(portal, 'github', { kind: 'github', name: 'GitHub', clientId: 'gatehouse' })
  assert.deepEqual(await look(), [`identity_provider_secret: ${secret.replace('corp', 'github')}`])
  await changeIdentityProvider(portal, 'github', { clientSecret: 'a-secret', registration: 'open' })
  assert.deepEqual(await look(), [
    'identity_provider_open: gatehouse identity-provider update github --domain example.com',
  ])
  await changeIdentityProvider(portal, 'github', { domains: ['example.com'] })
  assert.deepEqual(await look(), [])
})
