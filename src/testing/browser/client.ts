import { createHash, randomBytes } from 'node:crypto'
import type { Browser } from './browser.ts'

/** An OAuth client, written by hand so that a test can send what no library would. */
export class Client {
  readonly id: string
  readonly secret: string | null
  readonly redirectUri: string
  readonly verifier = randomBytes(32).toString('base64url')
  readonly #issuer: string

  constructor(issuer: string, id: string, secret: string | null, redirectUri: string) {
    this.#issuer = issuer
    this.id = id
    this.secret = secret
    this.redirectUri = redirectUri
  }

  /** A valid authorization request but for what `change` names; null leaves a parameter out. */
  authorizeUrl(change: Record<string, string | null> = {}): string {
    const params = {
      client_id: this.id,
      redirect_uri: this.redirectUri,
      response_type: 'code',
      scope: 'openid profile email',
      state: 'state',
      nonce: 'nonce',
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...change,
    }
    const given = Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== null)
    return `${this.#issuer}/oauth/authorize?${new URLSearchParams(given)}`
  }

  /** The code of a signed-in browser, without a page. */
  async code(browser: Browser, change: Record<string, string | null> = {}): Promise<string> {
    const { url } = await browser.follow(await browser.get(this.authorizeUrl(change)))
    const code = new URL(url).searchParams.get('code')
    if (code === null) throw new Error(`no code came back: ${url}`)
    return code
  }

  async connect(browser: Browser, change: Record<string, string | null> = {}): Promise<Tokens> {
    const response = await this.exchange(await this.code(browser, change))
    if (response.status !== 200) throw new Error(`no tokens: ${await response.text()}`)
    return (await response.json()) as Tokens
  }

  async exchange(
    code: string,
    change: Record<string, string | null> = {},
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const params = {
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.redirectUri,
      code_verifier: this.verifier,
      ...change,
    }
    return this.send('/oauth/token', params, headers)
  }

  async refresh(
    refreshToken: string,
    change: Record<string, string | null> = {},
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return this.send('/oauth/token', { grant_type: 'refresh_token', refresh_token: refreshToken, ...change }, headers)
  }

  async introspect(token: string): Promise<Record<string, unknown>> {
    return (await (await this.send('/oauth/introspect', { token })).json()) as Record<string, unknown>
  }

  async revoke(token: string): Promise<Response> {
    return this.send('/oauth/revoke', { token })
  }

  async userinfo(applicationToken: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.#issuer}/oauth/userinfo`, {
      headers: { authorization: `Bearer ${applicationToken}`, ...headers },
    })
  }

  /** POSTs a form with this client's authentication: Basic, or only its id. */
  async send(
    path: string,
    fields: Record<string, string | null>,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const given = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== null)
    const body = new URLSearchParams(given)
    const credentials: Record<string, string> = {}
    if (this.secret === null) body.set('client_id', this.id)
    else credentials['authorization'] = `Basic ${Buffer.from(`${this.id}:${this.secret}`).toString('base64')}`
    return fetch(`${this.#issuer}${path}`, { method: 'POST', body, headers: { ...credentials, ...headers } })
  }
}

export interface Tokens {
  access_token: string
  refresh_token: string
  id_token: string
  token_type: string
  expires_in: number
  scope: string
}

/** The claims inside a JWT, unverified. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as Record<string, unknown>
}
