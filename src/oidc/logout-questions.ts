import type { KoaContextWithOIDC } from 'oidc-provider'
import { decryptWithAny, encrypt } from '../domain/keys/encryption.ts'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'
import { type LogoutQuestion, logoutQuestionOf } from './library-internals.ts'

/** How long the logout question may stay unanswered (seconds). */
const LOGOUT_LIFE = 3600

/**
 * The logout form carries its question, sealed. Nothing is stored, so any number of tabs can ask at once, each with its own
 * return URI. It is the CSRF token as well, because it is valid only for the identity session that was asked.
 */
export function sealQuestion(services: Services, ctx: KoaContextWithOIDC): string {
  const { clientId, state, postLogoutRedirectUri } = logoutQuestionOf(ctx)
  const question = { clientId, state, postLogoutRedirectUri }
  const sealed = { question, asked: ctx.req.signedIn?.id ?? null, until: epochSeconds(services.clock()) + LOGOUT_LIFE }
  return encrypt(JSON.stringify(sealed), SUBJECT, services.secrets[0].interactionEncryption)
}

/**
 * The question that this form answers; undefined when it has none. Where the sign-in has ended in another tab, nothing is left
 * to protect, and the browser still returns to its app.
 */
export function openQuestion(services: Services, ctx: KoaContextWithOIDC): LogoutQuestion | undefined {
  const secret = ctx.oidc.params?.['xsrf']
  if (typeof secret !== 'string' || !SEALED.test(secret)) return undefined
  const opened = decryptWithAny(
    secret,
    SUBJECT,
    services.secrets.map((each) => each.interactionEncryption),
  )
  if (opened === null) return undefined
  const { question, asked, until } = JSON.parse(opened.plaintext) as {
    question: LogoutQuestion
    asked: string | null
    until: number
  }
  const { signedIn } = ctx.req
  const isTheirs = !signedIn || signedIn.id === asked
  return isTheirs && until > epochSeconds(services.clock()) ? { ...question, secret } : undefined
}

/** No interaction has this id, so a sealed request is never accepted as a question. */
const SUBJECT = 'logout question'
const SEALED = /^[\w-]{16}\.[\w-]{22}\.[\w-]+$/
