import assert from 'node:assert/strict'
import { Browser } from '../browser/browser.ts'
import type { TestClock } from './clock.ts'
import { addTotp } from './factors.ts'
import type { TestServer } from './server.ts'
import { codeOf } from './totp.ts'

let count = 0

/** A browser that is signed in with two factors, by an identity with this role. The clock goes on by a minute. */
export async function signInOperator(
  server: TestServer,
  clock: TestClock,
  role: 'admin' | 'support',
): Promise<Browser> {
  const username = `${role}-${(count += 1)}`
  const person = { username, email: `${username}@example.test`, password: 'one password of many' }
  await server.addIdentity(person, { roles: [role], emailVerified: true })
  const first = new Browser(server.url)
  await first.signIn(person)
  const { key } = await addTotp(first, clock())
  clock.advance(60)
  const browser = new Browser(server.url)
  await browser.signIn(person)
  const response = await browser.post('/login/second-factor', { code: codeOf(key, clock()) })
  assert.equal(response.status, 303)
  return browser
}
