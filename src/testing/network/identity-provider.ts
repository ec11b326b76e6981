import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'

/** What the provider says of its user, and how it misbehaves. A test changes it at will. */
export interface ProviderScript {
  sub: string
  claims: Record<string, unknown>
  /** Claims of the ID token that are other than they should be; undefined leaves one out. */
  idToken: Record<string, unknown>
  alg: 'RS256' | 'HS256' | 'none'
  /** Parameters of the authorization response that are other than they should be. */
  response: Record<string, string>
  /** Takes the place of the answer at a path. */
  answers: Record<string, (res: ServerResponse) => void>
}

/** An OpenID provider on loopback that says what a test wants, and a GitHub beside it. Its keys and checks of PKCE are real. */
export class ScriptedProvider {
  script: ProviderScript = ScriptedProvider.#usual()
  readonly clientId = 'gatehouse'
  readonly clientSecret = 'a-secret-of-the-provider'
  /** The parameters of each authorization request. */
  readonly requests: URLSearchParams[] = []
  readonly paths: string[] = []
  readonly #codes = new Map<string, URLSearchParams>()
  readonly #server = createServer((req, res) => void this.#answer(req, res))
  readonly #now: () => Date
  #keys!: Awaited<ReturnType<typeof generateKeyPair>>

  constructor(now: () => Date) {
    this.#now = now
  }

  static #usual(): ProviderScript {
    return {
      sub: 'someone',
      claims: { email: 'someone@id.test', email_verified: true },
      idToken: {},
      alg: 'RS256',
      response: {},
      answers: {},
    }
  }

  async start(): Promise<void> {
    this.#keys = await generateKeyPair('RS256')
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** From here on it behaves, and its user is this one. */
  be(sub: string, claims: Record<string, unknown> = {}): void {
    this.script = { ...ScriptedProvider.#usual(), sub, claims }
  }

  /** What the browser is sent back to after a sign-in at this address. */
  authorize(url: string): string {
    const params = new URL(url).searchParams
    this.requests.push(params)
    const code = randomUUID()
    this.#codes.set(code, params)
    const back = new URL(params.get('redirect_uri') as string)
    const response = { code, state: params.get('state') ?? '', iss: this.issuer, ...this.script.response }
    for (const [name, value] of Object.entries(response)) back.searchParams.set(name, value)
    return back.href
  }

  /** A token signed with its key. */
  async sign(claims: JWTPayload, typ?: string): Promise<string> {
    const header = { alg: 'RS256', kid: 'one', ...(typ !== undefined && { typ }) }
    return new SignJWT(claims).setProtectedHeader(header).sign(this.#keys.privateKey)
  }

  /** A logout token; undefined leaves a claim out. */
  async logoutToken(change: Record<string, unknown> = {}, typ = 'logout+jwt'): Promise<string> {
    const now = this.#seconds()
    return this.sign(
      {
        iss: this.issuer,
        aud: this.clientId,
        iat: now,
        exp: now + 120,
        jti: randomUUID(),
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
        ...change,
      },
      typ,
    )
  }

  #seconds(): number {
    return Math.floor(this.#now().getTime() / 1000)
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = new URL(req.url ?? '', this.issuer).pathname
    this.paths.push(path)
    const scripted = this.script.answers[path]
    if (scripted !== undefined) return scripted(res)
    const { issuer } = this
    const send = (body: unknown, status = 200) =>
      void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    switch (path) {
      case '/.well-known/openid-configuration':
        return send({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          userinfo_endpoint: `${issuer}/userinfo`,
          authorization_response_iss_parameter_supported: true,
          response_types_supported: ['code'],
          id_token_signing_alg_values_supported: ['RS256'],
          code_challenge_methods_supported: ['S256'],
        })
      case '/jwks':
        return send({ keys: [{ ...(await exportJWK(this.#keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] })
      case '/token':
      case '/login/oauth/access_token': {
        const form = new URLSearchParams(await bodyOf(req))
        const request = this.#codes.get(form.get('code') ?? '')
        this.#codes.delete(form.get('code') ?? '')
        const challenge = createHash('sha256')
          .update(form.get('code_verifier') ?? '')
          .digest('base64url')
        if (request === undefined || challenge !== request.get('code_challenge'))
          return send({ error: 'invalid_grant' }, 400)
        const isGithub = path !== '/token'
        const tokens = {
          access_token: 'an-access-token-of-the-provider',
          token_type: 'bearer',
          scope: request.get('scope'),
        }
        return send(isGithub ? tokens : { ...tokens, expires_in: 60, id_token: await this.#idToken(request) })
      }
      case '/userinfo':
        return send({ sub: this.script.sub, ...this.script.claims })
      case '/api/v3/user':
        return send({ id: Number(this.script.sub), login: 'octo', name: 'Octo Cat', email: null })
      case '/api/v3/user/emails':
        return send([
          { email: 'old@id.test', primary: false, verified: true },
          { email: this.script.claims['email'], primary: true, verified: this.script.claims['email_verified'] },
        ])
      default:
        return send({ error: 'not_found' }, 404)
    }
  }

  async #idToken(request: URLSearchParams): Promise<string> {
    const now = this.#seconds()
    const { sub, claims, idToken, alg } = this.script
    const payload = {
      iss: this.issuer,
      aud: this.clientId,
      sub,
      iat: now,
      exp: now + 300,
      nonce: request.get('nonce') ?? undefined,
      ...(request.get('max_age') === '0' && { auth_time: now }),
      ...claims,
      ...idToken,
    } as JWTPayload
    if (alg === 'none') return new UnsecuredJWT(payload).encode()
    if (alg === 'HS256')
      return new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(this.clientSecret))
    return this.sign(payload)
  }
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
