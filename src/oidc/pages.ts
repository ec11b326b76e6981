import type { IncomingMessage } from 'node:http'
import { isUnavailable } from '../domain/errors.ts'
import { subjectIn } from '../domain/identities/subjects.ts'
import type { Services } from '../domain/services.ts'
import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider'
import { withAskedLanguage } from './asked-language.ts'
import { sealQuestion } from './logout-questions.ts'
import { mistakeIn, type RequestMistake } from './refusals.ts'

export type { RequestMistake }
export {
  ERROR_CODES,
  ERROR_REFERENCE,
  errorUri,
  type Explanation,
  REFUSAL_REASONS,
  reasonAnchor,
} from './error-codes.ts'

/** The protocol's few pages; `http/` provides their HTML. */
export interface ProtocolPages {
  error(page: {
    /** Its language is that of the page. */
    req: IncomingMessage
    status: number
    error: string
    /** An app asks for a logout, and its `id_token_hint` is wrong. */
    isHint: boolean
    description: string | null
    reference: string
    mistake: RequestMistake
    forDevelopers: boolean
  }): Promise<string>
  logout(page: {
    req: IncomingMessage
    appName: string | null
    action: string
    xsrf: string
    autoSubmit: boolean
    username: string | null
  }): Promise<string>
  signedOut(page: { req: IncomingMessage }): Promise<string>
}

/** The library's messages for an invalid logout hint, and for one of another app. */
const HINT_FAULTS = /id_token_hint/

export function renderError(pages: ProtocolPages, forDevelopers: boolean) {
  return async (ctx: KoaContextWithOIDC, out: ErrorOut, error: Error): Promise<void> => {
    // Browsers open only these two endpoints; every other answers programs, whatever their Accept header says.
    if (!/^(authorization|resume|end_session)/.test(ctx.oidc.route)) {
      ctx.body = out
      return
    }
    ctx.type = 'html'
    ctx.body = await pages.error({
      req: ctx.req,
      status: isUnavailable(error) ? 503 : ctx.status,
      error: out.error,
      isHint: ctx.oidc.route === 'end_session' && HINT_FAULTS.test(out.error_description ?? ''),
      description: out.error_description ?? null,
      reference: ctx.req.requestId,
      mistake: mistakeIn(ctx),
      forDevelopers,
    })
  }
}

export function logoutSource(services: Services, pages: ProtocolPages) {
  return async (ctx: KoaContextWithOIDC): Promise<void> => {
    const { session, client, entities } = ctx.oidc
    const hint = entities.IdTokenHint as { payload?: { sub?: string } } | undefined
    ctx.body = await pages.logout({
      req: ctx.req,
      appName: client?.clientName ?? null,
      action: withAskedLanguage(ctx, ctx.oidc.urlFor('end_session_confirm')),
      xsrf: sealQuestion(services, ctx),
      // An app that sends this user's ID token need not make them confirm (RP-Initiated Logout 1.0 §2).
      autoSubmit:
        client !== undefined &&
        session?.accountId !== undefined &&
        hint?.payload?.sub === subjectIn(services, client.app, session.accountId),
      username: ctx.req.signedIn?.username ?? null,
    })
  }
}

export function postLogoutSuccessSource(pages: ProtocolPages) {
  return async (ctx: KoaContextWithOIDC): Promise<void> => {
    ctx.type = 'html'
    ctx.body = await pages.signedOut({ req: ctx.req })
  }
}
