import type { NextFunction, Request, Response } from 'express'
import { isUnavailable } from '../../domain/errors.ts'
import { Overloaded } from '../../domain/fair-queue.ts'
import { SourceUnavailable } from '../../domain/identity-source.ts'
import { Refused } from '../../domain/refused.ts'
import { secondsUntil } from '../../domain/time.ts'
import { message } from '../../i18n/messages.ts'
import { contextOf, servicesOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { ERROR_REFERENCE } from '../../oidc/pages.ts'
import { statusAnchor } from '../error-reference.ts'
import { type RefusalWords, RequestRefused, TO_APPS, TooManyAttempts, type WayOn, wordsOf } from '../http-errors.ts'
import { render } from '../page.ts'
import { pageToTryAgain } from '../return-to.ts'
import type { WaitWords } from '../too-many-attempts.ts'

declare module 'node:http' {
  interface IncomingMessage {
    /** What failed before Express got the request; the error page shows it. */
    failure?: unknown
  }
}

interface ErrorPage extends RefusalWords {
  status: number
}

/** The error page: the one place that decides what a user sees of an error. The log has the details. */
export async function errorPage(error: unknown, req: Request, res: Response, next: NextFunction): Promise<void> {
  if (res.headersSent) return next(error)
  const page = beginRefusal(error, req, res)
  const reference = req.requestId
  const { href, label } = wayOnOf(error, page.status, req)
  // The page may be on another host (421), where there is no explanation.
  const explanation = `${servicesOf(req).publicUrl}${ERROR_REFERENCE}#${statusAnchor(page.status)}`
  const locals = { ...page, reference, explanation, backHref: href, backLabel: label }
  const title = textsOf(req).say(page.title)
  await render(req, res, 'errors/show', { title, narrow: true }, { ...locals, title })
}

/** After an error of the portal, the same page, or that of the form, may work a little later. */
function wayOnOf(error: unknown, status: number, req: Request): WayOn {
  if (error instanceof RequestRefused) return error.wayOn
  if (status < 500) return TO_APPS
  return { href: pageToTryAgain(req, servicesOf(req).publicUrl), label: message('errors.try_again_button') }
}

/**
 * Runs the act of a form. When the portal is too busy (503) or the user has to wait (429), `show` renders the same form again.
 * So the user loses neither the input nor the app they were signing in to. While a store is unavailable, no form can be
 * rendered.
 */
export async function keepForm(
  req: Request,
  res: Response,
  act: () => Promise<void>,
  show: (wait: WaitWords) => Promise<void>,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    const isPassing =
      error instanceof TooManyAttempts || error instanceof Overloaded || error instanceof SourceUnavailable
    if (!isPassing) throw error
    await show(beginRefusal(error, req, res))
  }
}

/** Sets the status and Retry-After, and writes the log. @returns the words for the page */
function beginRefusal(error: unknown, req: Request, res: Response): ErrorPage {
  const page = describe(error)
  const { logger } = contextOf(req)
  if (error instanceof Overloaded) logEvent(req, 'overloaded')
  else if (error instanceof SourceUnavailable)
    logger.warn({ requestId: req.requestId, error }, 'the identity source cannot be asked')
  else if (page.status >= 500) logger.error({ requestId: req.requestId, error }, 'request failed')
  if (page.status === 503) res.setHeader('Retry-After', '5')
  if (error instanceof TooManyAttempts) {
    res.setHeader('Retry-After', secondsUntil(error.wait.retryAt, servicesOf(req).clock()))
    logEvent(req, 'too_many_guesses', { suspended: error.wait.ipBlocked })
  }
  res.status(page.status)
  return page
}

/** The words for every failure, those of the protocol's pages included. */
export function describe(error: unknown): ErrorPage {
  if (error instanceof RequestRefused) return { status: error.status, ...error.words }
  if (error instanceof Refused) return describeRefused(error)
  // Checked before the stores: a browser that hung up in the middle of a form leaves a broken connection, too.
  const status = (error as { status?: unknown } | null)?.status
  if (typeof status === 'number' && status >= 400 && status < 500) return refusals[status] ?? { ...generic, status }
  if (error instanceof SourceUnavailable)
    return { status: 503, ...wordsOf('errors.busy.title', 'errors.source.sentence', 'errors.busy.advice') }
  if (isUnavailable(error)) {
    return { status: 503, ...wordsOf('errors.busy.title', 'errors.busy.sentence', 'errors.busy.advice') }
  }
  return { status: 500, ...wordsOf('errors.failed.title', 'errors.failed.sentence', 'errors.failed.advice') }
}

/** A rule refuses an act of an administrator; its words are English, as those of commands. */
function describeRefused({ code, message: sentence }: Refused): ErrorPage {
  const status = { not_found: 404, invalid: 422, conflict: 409, last_administrator: 409, insufficient_scope: 403 }[code]
  return { status, title: message('admin.refused.title'), sentence, advice: message('admin.refused.advice') }
}

const generic: ErrorPage = {
  status: 400,
  ...wordsOf('errors.bad.title', 'errors.bad.sentence', 'errors.bad.advice'),
}

const refusals: Record<number, ErrorPage> = {
  413: { ...generic, status: 413, sentence: message('errors.bad.too_large') },
  415: { ...generic, status: 415, sentence: message('errors.bad.not_a_form') },
}
