import { Browser } from '../../src/testing/browser/browser.ts'
import { claimsOf } from '../../src/testing/browser/client.ts'
import { clientOf, type Person, type Subject } from './subject.ts'

/**
 * Refuses to measure a subject that skips the work: refresh tokens must rotate, two rotations later an old one must give at
 * most the current one, and the tokens for APIs must be signed.
 */
export async function requireHonesty(subject: Subject): Promise<void> {
  const client = clientOf(subject)
  // A browser of its own: in the stock library, reuse ends everything that the sign-in has given this app.
  const browser = new Browser(subject.origin)
  await subject.signIn(browser, subject.people[0] as Person)
  const opened = await client.connect(browser)
  const claims = claimsOf(opened.access_token)
  if (typeof claims['exp'] !== 'number') throw new Error(`the application token of the ${subject.name} is no JWT`)

  const rotate = async (token: string) => (await (await client.refresh(token)).json()) as { refresh_token?: string }
  const second = (await rotate(opened.refresh_token)).refresh_token ?? ''
  const third = (await rotate(second)).refresh_token ?? ''
  if (new Set([opened.refresh_token, second, third, '']).size !== 4)
    throw new Error(`the ${subject.name} does not rotate refresh tokens`)

  // Within its grace window the portal answers with the current token, which is no second chain.
  const reuse = await client.refresh(opened.refresh_token)
  const again = reuse.status === 400 ? third : ((await reuse.json()) as { refresh_token?: string }).refresh_token
  if (again !== third) throw new Error(`the ${subject.name} takes a refresh token that was replaced`)
}
