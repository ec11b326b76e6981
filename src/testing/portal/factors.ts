import assert from 'node:assert/strict'
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server'
import type { Authenticator, Lies } from '../browser/authenticator.ts'
import type { Browser } from '../browser/browser.ts'
import { type Page, readPage } from '../browser/page.ts'
import { codeOf } from './totp.ts'

const FACTORS = '/settings/second-factors'

/** Sets up an authenticator app through the pages. @returns its key, and the recovery codes of the page */
export async function addTotp(browser: Browser, at: Date, name = 'Phone'): Promise<{ key: string; codes: string[] }> {
  const key = keyOn(await readPage(await browser.get(`${FACTORS}/totp/new`)))
  const response = await browser.post(`${FACTORS}/totp`, { name, code: codeOf(key, at) })
  const codes = response.status === 200 ? recoveryCodesOn(await readPage(response)) : []
  assert.ok([200, 303].includes(response.status), String(response.status))
  return { key, codes }
}

/** Sets up a passkey as the page's script does. @returns the recovery codes of the page */
export async function addPasskey(browser: Browser, authenticator: Authenticator, lies?: Lies): Promise<Response> {
  const page = await readPage(await browser.get(`${FACTORS}/passkey/new`))
  const credential = authenticator.create(optionsOn<PublicKeyCredentialCreationOptionsJSON>(page), lies)
  return browser.post(`${FACTORS}/passkey`, { name: 'Laptop', credential })
}

/** The answer of a passkey to the question on a page. */
export function answerTo(page: Page, authenticator: Authenticator, lies?: Lies): string {
  return authenticator.get(optionsOn<PublicKeyCredentialRequestOptionsJSON>(page), lies)
}

export function keyOn(page: Page): string {
  return /<code class="key"[^>]*>([A-Z2-7 ]+)<\/code>/.exec(page.html)?.[1] ?? assert.fail('no key on the page')
}

export function recoveryCodesOn(page: Page): string[] {
  return [...page.html.matchAll(/<code>((?:[0-9a-z]{4}-){3}[0-9a-z]{4})<\/code>/g)].map(([, code]) => code as string)
}

/** The WebAuthn options on the page. */
export function optionsOn<T>({ html }: Page): T {
  const options = / data-options="([^"]*)"/.exec(html)?.[1] ?? assert.fail('no options on the page')
  return JSON.parse(options.replaceAll('&#34;', '"').replaceAll('&amp;', '&')) as T
}
