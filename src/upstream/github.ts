import { authorizationCodeGrant, type Configuration, fetchProtectedResource } from 'openid-client'
import { z } from 'zod'
import { type UpstreamChecks, UpstreamFailure, type UpstreamProvider, type UpstreamUser } from '../domain/upstream.ts'
import { readEmail, readName, readSubject } from './claims.ts'

const USER = z.object({ id: z.number().int().positive(), login: z.unknown(), name: z.unknown() })
const EMAILS = z.array(z.object({ email: z.unknown(), primary: z.unknown(), verified: z.unknown() }))

/**
 * Exchanges the code, and reads the account and its primary e-mail address. GitHub has no ID tokens: it says neither when its user
 * signed in, nor in which session.
 */
export async function finishGithub(
  configuration: Configuration,
  { issuer }: UpstreamProvider,
  answer: URL,
  { state, codeVerifier }: UpstreamChecks,
): Promise<UpstreamUser> {
  const tokens = await authorizationCodeGrant(configuration, answer, {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
  })
  const read = async (path: string) => readJson(configuration, tokens.access_token, new URL(apiOf(issuer) + path))
  const user = USER.safeParse(await read('/user'))
  if (!user.success) throw new UpstreamFailure('invalid', 'the answer names no account')
  // Without the scope user:email GitHub refuses to list them.
  const emails = EMAILS.safeParse(await read('/user/emails').catch(withoutEmails))
  const primary = emails.success ? emails.data.find((each) => each.primary === true) : undefined
  return {
    // A login can be given up and taken by another user; the number cannot.
    subject: readSubject(String(user.data.id)),
    email: readEmail(primary?.email),
    emailVerified: primary?.verified === true,
    username: readName(user.data.login),
    name: readName(user.data.name),
    givenName: null,
    familyName: null,
    sid: null,
    provedAt: null,
    tokens: JSON.stringify(tokens),
  }
}

/** Where the API is: GitHub has a host for it, an Enterprise Server a path. */
function apiOf(issuer: string): string {
  return issuer === 'https://github.com' ? 'https://api.github.com' : `${issuer}/api/v3`
}

async function readJson(configuration: Configuration, accessToken: string, url: URL): Promise<unknown> {
  const headers = new Headers({ Accept: 'application/vnd.github+json', 'User-Agent': 'Gatehouse' })
  const response = await fetchProtectedResource(configuration, accessToken, url, 'GET', null, headers)
  if (response.status !== 200) throw new UpstreamFailure('invalid', `the API of GitHub answered ${response.status}`)
  try {
    return await response.json()
  } catch (error) {
    throw new UpstreamFailure('invalid', 'the API of GitHub answered no JSON', { cause: error })
  }
}

function withoutEmails(error: unknown): unknown {
  if (error instanceof UpstreamFailure && error.kind === 'unavailable') throw error
  return []
}
