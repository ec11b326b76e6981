import type { Request } from 'express'
import type Provider from 'oidc-provider'
import type { SignedInRow } from '../domain/sign-in/identity-sessions.ts'
import type { Services } from '../domain/services.ts'
import type { Logger } from '../logger.ts'
import type { Texts } from '../i18n/texts.ts'
import type { Templates } from './templates.ts'
import { chooseTexts, type TextsContext } from './texts.ts'

/** What the composition root gives every handler. */
export interface HttpContext {
  services: Services
  templates: Templates
  logger: Logger
  /** The folder of the mail preview, which replaces sending in development; null where that page does not exist. */
  mailFolder: string | null
  texts: TextsContext
  /** The URLs of the style sheets that every page loads. */
  preload(): string[]
  /** The current protocol library instance; it changes with the signing keys. */
  provider(): Provider
}

export function contextOf(req: Request): HttpContext {
  return req.app.locals['context'] as HttpContext
}

export function servicesOf(req: Request): Services {
  return contextOf(req).services
}

/** The texts in the language and time zone of this request. */
export function textsOf(req: Request): Texts {
  return chooseTexts(req, contextOf(req).texts)
}

/** The signed-in user; only for handlers behind `requireIdentity`. */
export function signedInOf(req: Request): SignedInRow {
  const { signedIn } = req
  if (signedIn === null || signedIn === undefined)
    throw new Error('a route that needs an identity has no requireIdentity')
  return signedIn
}
