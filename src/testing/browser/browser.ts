import { CookieJar } from 'tough-cookie'

/** A headless HTTP browser: it stores cookies by their rules, and follows a redirect only on request. */
export class Browser {
  readonly jar: CookieJar
  readonly #url: string

  constructor(url: string, jar = new CookieJar()) {
    this.#url = url
    this.jar = jar
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.#send('GET', path, null, headers)
  }

  /** Sends a form as a page of the portal would. */
  async post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return this.#send('POST', path, new URLSearchParams(fields), { origin: this.#url, ...headers })
  }

  /** Follows redirects, as long as they stay on the portal. The last URL may be an app's. */
  async follow(response: Response): Promise<{ url: string; response: Response }> {
    let url = response.url
    for (let hops = 0; hops < 10; hops++) {
      const location = response.headers.get('location')
      if (location === null) return { url, response }
      url = new URL(location, url).href
      if (!url.startsWith(`${this.#url}/`)) return { url, response }
      response = await this.get(url)
    }
    throw new Error(`redirected too often, last to ${url}`)
  }

  async signIn(person: { username: string; password: string }): Promise<void> {
    const response = await this.post('/login', { login: person.username, password: person.password })
    if (response.status !== 303) {
      const answer = (await response.text()).replace(/<[^>]*>|\s+/g, ' ').slice(0, 300)
      throw new Error(`${person.username} could not sign in at ${this.#url}: ${response.status} ${answer}`)
    }
  }

  /** The same cookies in another browser, as after cookie theft. */
  async copy(): Promise<Browser> {
    return new Browser(this.#url, await this.jar.clone())
  }

  async #send(
    method: string,
    path: string,
    body: URLSearchParams | null,
    headers: Record<string, string>,
  ): Promise<Response> {
    const url = new URL(path, this.#url).href
    const cookie = await this.jar.getCookieString(url)
    const response = await fetch(url, {
      method,
      body,
      redirect: 'manual',
      headers: { 'user-agent': FIREFOX, ...(cookie === '' ? {} : { cookie }), ...headers },
    })
    for (const line of response.headers.getSetCookie()) await this.jar.setCookie(line, url)
    return response
  }
}

export const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
