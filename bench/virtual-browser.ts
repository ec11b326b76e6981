import type { Answer } from './connection.ts'
import { type Browser, FIREFOX } from '../src/testing/browser/browser.ts'
import { getRequest } from './requests.ts'
import type { Subject } from './subjects/subject.ts'

/** A cheap signed-in browser: a map of cookies, without paths or lifetimes. */
export class VirtualBrowser {
  readonly #host: string
  readonly #cookies = new Map<string, string>()
  #header = ''

  /** Takes over the cookies of a real browser that has signed in. */
  static async copy(real: Browser, { host, origin }: Subject): Promise<VirtualBrowser> {
    const cookies = await real.jar.getCookies(`${origin}/oauth/authorize`)
    return new VirtualBrowser(
      host,
      cookies.map(({ key, value }) => [key, value]),
    )
  }

  private constructor(host: string, cookies: [string, string][]) {
    this.#host = host
    for (const [name, value] of cookies) this.#cookies.set(name, value)
    this.#refreshHeader()
  }

  get(path: string): string {
    return getRequest(this.#host, path, { 'User-Agent': FIREFOX, Accept: 'text/html', Cookie: this.#header })
  }

  /** Stores the cookies of an answer. */
  keep({ head }: Answer): void {
    let hasChanged = false
    for (const [, name, value] of head.matchAll(/\r\nset-cookie: *([^=;\r]+)=([^;\r]*)/gi)) {
      if (name === undefined || value === undefined || this.#cookies.get(name) === value) continue
      hasChanged = true
      if (value === '') this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    if (hasChanged) this.#refreshHeader()
  }

  #refreshHeader(): void {
    this.#header = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }
}
