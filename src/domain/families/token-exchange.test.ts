import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { addSeconds, epochSeconds } from '../time.ts'
import { actorsOf, type ApplicationTokenClaims } from './application-tokens.ts'
import { derive, LONGEST_CHAIN } from './token-exchange.ts'

const APPS = 12
const SCOPES = ['a', 'b', 'c', 'd']
const START = new Date('2026-12-01T12:00:00Z')

const someScopes = fc.oneof(
  { weight: 3, arbitrary: fc.constant(SCOPES) },
  { weight: 1, arbitrary: fc.subarray(SCOPES) },
)
/** An exchange: of which token of the tree, for which API, what is granted there and asked for, how long after the one before. */
const step = fc.record({
  /** Counted from the newest; most often that, so that long chains are common. */
  parent: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(2) }),
  target: fc.nat(APPS - 1),
  granted: someScopes,
  asked: fc.option(fc.subarray(SCOPES, { minLength: 1, maxLength: 3 }), { freq: 1 }),
  ttl: fc.integer({ min: 10, max: 900 }),
  pause: fc.integer({ min: 0, max: 20 }),
})
const tree = fc.record({
  /** The app of the family, and the API that its token is for. */
  owner: fc.nat(APPS - 1),
  audience: fc.nat(APPS - 1),
  scopes: someScopes,
  ttl: fc.integer({ min: 200, max: 900 }),
  steps: fc.array(step, { maxLength: 14 }),
})

interface Node {
  claims: ApplicationTokenClaims
  /** The apps that acted on the way to it, as the tree has them, not as the token says. */
  callers: string[]
}

const appOf = (index: number) => `app-${index}`
const apiOf = (index: number) => `https://api-${index}.example.test/`
const words = (scope: string = '') => scope.split(' ').filter(Boolean)
const isWithin = (few: string[], many: string[]) => few.every((each) => many.includes(each))

test('in 10,000 random trees of delegation no token has more than its parent, and every loop and long chain is refused', () => {
  const seen: Record<string, number> = {}
  const growsOnly = fc.property(tree, ({ owner, audience, scopes, ttl, steps }) => {
    const root = { clientId: appOf(owner), roles: ['editor'] }
    const iat = epochSeconds(START)
    const claims: ApplicationTokenClaims = {
      iss: 'https://id.example.test',
      sub: randomUUID(),
      aud: apiOf(audience),
      client_id: root.clientId,
      iat,
      exp: iat + ttl,
      jti: randomUUID(),
      scope: scopes.join(' '),
      roles: ['editor', 'owner-of-the-first-app'],
      claims_version: 3,
      fam: randomUUID(),
      auth_time: iat - 60,
      acr: 'mfa',
      amr: ['pwd', 'otp'],
      email: 'ada@example.test',
    }
    const nodes: Node[] = [{ claims, callers: [] }]
    let now = START
    for (const { parent: index, target, granted, asked, ttl: tokenTtl, pause } of steps) {
      now = addSeconds(now, pause)
      const parent = nodes.at(-1 - (index % nodes.length)) as Node
      if (parent.claims.exp <= epochSeconds(now)) continue
      // The token is sent to the back end of the API that it is for.
      const callerIndex = Number(/\d+/.exec(parent.claims.aud)?.[0])
      const caller = { clientId: appOf(callerIndex), audience: parent.claims.aud, applicationTokenTtl: null }
      const api = { identifier: apiOf(target), scopes: granted, tokenTtl, signingAlg: 'ES256' }
      const exchange = { caller, target: api, scopes: asked, confirmation: {} }
      const outcome = derive(parent.claims, root, exchange, tokenTtl, now)
      seen[outcome.kind] = (seen[outcome.kind] ?? 0) + 1

      const before = parent.callers
      const isLoop = before.includes(caller.clientId) || (before.length > 0 && caller.clientId === root.clientId)
      const possible = granted.filter((scope) => words(parent.claims.scope).includes(scope))
      const isTooMuch = asked === null ? possible.length === 0 : !isWithin(asked, possible)
      if (isLoop) assert.equal(outcome.kind, 'loop')
      else if (before.length >= LONGEST_CHAIN) assert.equal(outcome.kind, 'too-deep')
      else if (isTooMuch) assert.equal(outcome.kind, 'scope-exceeded')
      if (outcome.kind !== 'derived') continue

      const { claims: child } = outcome
      const callers = [caller.clientId, ...before]
      assert.ok(isWithin(words(child.scope), words(parent.claims.scope)) && isWithin(words(child.scope), granted))
      assert.ok(child.scope !== '' && child.exp <= parent.claims.exp && child.exp <= child.iat + tokenTtl)
      assert.deepEqual(actorsOf(child.act), callers)
      assert.ok(callers.length <= LONGEST_CHAIN && new Set(callers).size === callers.length)
      const { sub, fam, claims_version: version, auth_time: time, acr, amr, roles } = child
      assert.deepEqual(
        { sub, fam, version, time, acr, amr, roles },
        {
          sub: claims.sub,
          fam: claims.fam,
          version: 3,
          time: iat - 60,
          acr: 'mfa',
          amr: ['pwd', 'otp'],
          roles: ['editor'],
        },
      )
      assert.deepEqual([child.aud, child.client_id, 'email' in child], [api.identifier, caller.clientId, false])
      nodes.push({ claims: child, callers })
    }
  })
  fc.assert(growsOnly, { numRuns: 10_000 })
  for (const kind of ['derived', 'loop', 'too-deep', 'scope-exceeded'])
    assert.ok((seen[kind] ?? 0) > 50, JSON.stringify(seen))
})
