import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import Provider, { ExternalSigningKey } from 'oidc-provider'
import * as grantCommon from 'oidc-provider/lib/helpers/grant_common.js'
import * as grants from 'oidc-provider/lib/helpers/grants.js'
import privateOf from 'oidc-provider/lib/helpers/weak_cache.js'
import { ownerOf, REPLACED } from './library-internals.ts'

// The library's own entry, so that a folder around this one is not taken for it.
const LIBRARY = dirname(fileURLToPath(import.meta.resolve('oidc-provider')))
const untouched = new Provider('https://id.example.test', { features: { devInteractions: { enabled: false } } })

test('this is the version that was compared', () => {
  const { version } = JSON.parse(readFileSync(join(LIBRARY, '..', 'package.json'), 'utf8')) as { version: string }
  assert.equal(version, '9.13.3', 'follow the checklist in library-internals.ts, then pin the new version here')
})

/** Every member that is replaced, with its parameters in the library; of what is read and never called, its kind. */
const MEMBERS: Record<string, string> = {
  'request.protocol': 'accessor',
  'request.secure': 'accessor',
  'request.host': 'accessor',
  'request.origin': 'accessor',
  'request.href': 'accessor',
  'Session.get': 'async get(ctx)',
  'Session.prototype.authorizationFor': 'authorizationFor(clientId, value)',
  'Session.prototype.sidFor': 'sidFor(clientId, value)',
  'Session.prototype.loginAccount': 'loginAccount(details)',
  'Session.prototype.destroy': 'async destroy()',
  'Client.prototype.compareClientSecret': 'compareClientSecret(actual)',
  'Client.prototype.grantTypeAllowed': 'grantTypeAllowed(type)',
  'Client.prototype.includeSid': 'includeSid()',
  'Client.prototype.redirectUriAllowed': 'redirectUriAllowed(value)',
  'Client.prototype.postLogoutRedirectUriAllowed': 'postLogoutRedirectUriAllowed(value)',
  'Client.Schema.prototype.redirectUris': "redirectUris(uris = this.redirect_uris, label = 'redirect_uris')",
  'AuthorizationCode.prototype.generateTokenId': 'generateTokenId()',
  'RefreshToken.prototype.generateTokenId': 'generateTokenId()',
  'IdToken.validate': 'async validate(jwt, client)',
  'IdToken.prototype.issue': 'async issue({ use, expiresAt = null } = {})',
  'OIDCContext.prototype.urlFor': 'urlFor(name, opt)',
  'Claims.prototype.result': 'async result()',
}

test('every member that is replaced has the parameters that it had', () => {
  const names = Object.entries(REPLACED).flatMap(([owner, members]) =>
    members.map((member) => [owner, member] as const),
  )
  const found = names.map(([owner, member]) => [
    `${owner}.${member}`,
    signatureOf(ownerOf(untouched, owner as keyof typeof REPLACED), member),
  ])
  assert.deepEqual(Object.fromEntries(found), MEMBERS)
})

test('every private function that is imported has the parameters that it had', () => {
  assert.deepEqual(
    [
      grants.validateDpop,
      grants.checkDpopRequired,
      grants.checkDpopReplay,
      grants.checkMtlsCert,
      grantCommon.issueIdToken,
    ].map(parametersOf),
    [
      'async function validateDpop(provider, ctx, accessToken)',
      'function checkDpopRequired(provider, ctx, dPoP, ErrorClass = InvalidGrant)',
      'async function checkDpopReplay(provider, ctx, dPoP, clientId, ErrorClass = InvalidGrant)',
      'function checkMtlsCert(provider, ctx, ErrorClass = InvalidGrant)',
      'async function issueIdToken(provider, ctx, source, at, grant, scopeOverride)',
    ],
  )
})

test('the checks of an authorization request are those that the library runs for a pushed one', () => {
  const source = sourceOf('actions/authorization/index.js')
  const ofPushed = [...source.matchAll(/use\((\w+),[^)]*\bPAR\b[^)]*\)/g)].map(([, name]) => name)
  assert.deepEqual(ofPushed, [
    'noCache',
    'parseBody',
    'assembleClientAuthParams',
    'clientAuthMiddlware',
    'assembleAuthorizationParams',
    'rejectAuthorizationDupes',
    'rejectUnsupported',
    'stripOutsideJarParams',
    'pushedAuthorizationRequestRemapErrors',
    'processRequestObject',
    'checkResponseMode',
    'oneRedirectUriClients',
    'oauthRequired',
    'rejectRegistration',
    'checkResponseType',
    'oidcRequired',
    'checkPrompt',
    'checkScope',
    'checkOpenidScope',
    'checkRedirectUri',
    'checkPKCE',
    'checkClaims',
    'checkRar',
    'checkResource',
    'checkMaxAge',
    'checkIdTokenHint',
    'checkDpopJkt',
    'checkExtraParams',
    'pushedAuthorizationRequestResponse',
  ])
  assert.match(sourceOf('actions/grants/authorization_code.js'), /presence\(ctx, 'code', 'redirect_uri'\)/)
  assert.match(sourceOf('helpers/initialize_app.js'), /oidcCtx \|\|= new this\.OIDCContext\(ctx\)/)
  const { grantTypeHandlers, router } = privateOf(untouched)
  assert.deepEqual([grantTypeHandlers.has('authorization_code'), typeof router.post], [true, 'function'])
})

test('response modes are kept by name, and called with the address and the parameters', () => {
  const { responseModes } = privateOf(untouched)
  for (const mode of ['query', 'fragment']) {
    assert.equal(typeof responseModes.get(mode), 'function')
    assert.match(sourceOf(`response_modes/${mode}.js`), /^export default \(ctx, redirectUri, payload\) =>/m)
  }
})

test('the private fields that are read or written are there', () => {
  assert.deepEqual(
    ['accountId', 'loginTs', 'amr', 'acr', 'state'].filter((field) => !payloadOf(untouched.Session).includes(field)),
    [],
  )
  for (const name of ['kid', 'alg'])
    assert.notEqual(Object.getOwnPropertyDescriptor(ExternalSigningKey.prototype, name)?.set, undefined, name)
  assert.match(sourceOf('models/session.js'), /this\.touched = true/)
  assert.match(sourceOf('models/session.js'), /this\.destroyed = true/)
  assert.match(sourceOf('shared/xsrf.js'), /ctx\.oidc\.session\.state = \{ secret \}/)
  for (const field of ['clientId', 'state', 'postLogoutRedirectUri'])
    assert.ok(sourceOf('actions/end_session.js').includes(`ctx.oidc.session.state.${field} = `), field)
})

test('the library still gives the details by which refusals are told apart', () => {
  const refusals = readFileSync(join(import.meta.dirname, 'refusals.ts'), 'utf8')
  const details = [...refusals.matchAll(/case '([a-z][^']* [^']*)':|MISMATCH = '([^']+)'/g)].map(
    ([, inSwitch, constant]) => inSwitch ?? (constant as string),
  )
  assert.ok(details.length > 10)
  const texts = sources()
  // Some begin with what the library calls the code.
  const isSaid = (detail: string) => {
    const ending = detail.replace('authorization code ', '} ')
    return texts.some((text) => text.includes(detail) || text.includes(ending))
  }
  assert.deepEqual(
    details.filter((detail) => !isSaid(detail)),
    [],
  )
})

test('the library refuses JWTs at introspection and revocation after it has authenticated the client', () => {
  assert.match(sourceOf('shared/reject_structured_tokens.js'), /throw new UnsupportedTokenType/)
  for (const action of ['introspection', 'revocation']) {
    const text = sourceOf(`actions/${action}.js`)
    assert.ok(text.indexOf('...clientAuth') < text.lastIndexOf('rejectStructuredTokens'), action)
    assert.ok(text.includes('...clientAuth'), action)
  }
})

function payloadOf(model: unknown): string[] {
  return [...new Set((model as { IN_PAYLOAD: string[] }).IN_PAYLOAD)].toSorted()
}

function signatureOf(owner: object, name: string): string {
  for (let each: object | null = owner; each !== null; each = Object.getPrototypeOf(each) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(each, name)
    if (descriptor?.get !== undefined) return 'accessor'
    if (descriptor !== undefined) return parametersOf(descriptor.value as () => void)
  }
  return 'missing'
}

/** The beginning of a function's source, up to its body. */
function parametersOf(callable: (...args: never[]) => unknown): string {
  const [head = ''] =
    /^(?:async )?(?:function )?\w*\([^)]*\)(?: =>)?/.exec(callable.toString().replace('static ', '')) ?? []
  return head.replaceAll(/\s+/g, ' ')
}

function sources(): string[] {
  return globSync('**/*.js', { cwd: LIBRARY }).map(sourceOf)
}

function sourceOf(file: string): string {
  return readFileSync(join(LIBRARY, file), 'utf8')
}
