import { hash } from 'node:crypto'
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  clockSkew,
  Configuration,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  None,
  type ServerMetadata,
} from 'openid-client'
import type { UpstreamProvider } from '../domain/upstream.ts'
import { boundedFetch, TIMEOUT_MS } from './bounded-fetch.ts'

/** Metadata is discovered anew after this long (ms), and keys when one is missing. */
const FRESH_FOR_MS = 3_600_000
/** Providers that are remembered; a portal has a handful. */
const MOST = 100

interface Discovered {
  configuration: Promise<Configuration>
  until: number
}

/** The configurations of providers, each discovered once for all who sign in. */
export class Configurations {
  readonly #known = new Map<string, Discovered>()
  readonly #clock: () => Date

  constructor(clock: () => Date) {
    this.#clock = clock
  }

  /** @throws UpstreamFailure, or what openid-client throws for metadata that is wrong */
  async of(provider: UpstreamProvider): Promise<Configuration> {
    const now = this.#clock().getTime()
    // With the secret, so that a changed one is used at once.
    const { kind, issuer, clientId, clientSecret } = provider
    const skew = this.#skew()
    const key = hash('sha256', JSON.stringify([provider.id, kind, issuer, clientId, clientSecret, skew]))
    const known = this.#known.get(key)
    if (known !== undefined && known.until > now) return known.configuration
    const configuration = open(provider, skew)
    this.#known.delete(key)
    this.#known.set(key, { configuration, until: now + FRESH_FOR_MS })
    const [oldest] = this.#known.keys()
    if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest)
    // A failure is not remembered: the next sign-in asks again. Those that wait for this one share it.
    configuration.catch(() => this.#known.delete(key))
    return configuration
  }

  /** The library reads the time of day; this is how far the clock of the portal is from it (seconds). */
  #skew(): number {
    return Math.round((this.#clock().getTime() - Date.now()) / 1000)
  }
}

async function open(provider: UpstreamProvider, skew: number): Promise<Configuration> {
  const { kind, issuer, clientId, clientSecret } = provider
  const client = { client_id: clientId, [clockSkew]: skew }
  const isInsecure = issuer.startsWith('http:')
  if (kind === 'github') {
    const configuration = new Configuration(githubMetadata(issuer), clientId, client, postSecret(clientSecret))
    configuration[customFetch] = boundedFetch
    configuration.timeout = TIMEOUT_MS / 1000
    if (isInsecure) allowInsecureRequests(configuration)
    return configuration
  }
  const found = await discovery(new URL(issuer), clientId, client, None(), {
    [customFetch]: boundedFetch,
    timeout: TIMEOUT_MS / 1000,
    ...(isInsecure && { execute: [allowInsecureRequests] }),
  })
  const metadata = found.serverMetadata()
  const configuration = new Configuration(metadata, clientId, client, authenticationAt(metadata, clientSecret))
  configuration[customFetch] = boundedFetch
  configuration.timeout = TIMEOUT_MS / 1000
  // ID tokens come from the token endpoint, and yet their signatures are verified.
  enableNonRepudiationChecks(configuration)
  if (isInsecure) allowInsecureRequests(configuration)
  return configuration
}

/** GitHub publishes no metadata. */
function githubMetadata(issuer: string): ServerMetadata {
  return {
    issuer,
    authorization_endpoint: `${issuer}/login/oauth/authorize`,
    token_endpoint: `${issuer}/login/oauth/access_token`,
  }
}

function postSecret(secret: string | null): ClientAuth {
  return secret === null ? None() : ClientSecretPost(secret)
}

/** By HTTP Basic, unless the provider accepts only the other way (OpenID Connect Core §9). */
function authenticationAt({ token_endpoint_auth_methods_supported: methods }: ServerMetadata, secret: string | null) {
  if (secret === null) return None()
  const isPost = methods?.includes('client_secret_basic') === false && methods.includes('client_secret_post')
  return isPost ? ClientSecretPost(secret) : ClientSecretBasic(secret)
}
