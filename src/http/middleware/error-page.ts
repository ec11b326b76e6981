import type { NextFunction, Request, Response } from 'express'
import { isUnavailable } from '../../domain/errors.ts'
import { EstimatorBusy } from '../../domain/password-strength.ts'
import { HasherBusy } from '../../domain/passwords.ts'
import { secondsUntil } from '../../domain/time.ts'
import type { Logger } from '../../logger.ts'
import { portalOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { RequestRefused, TooManyGuesses } from '../problems.ts'
import { render } from '../render.ts'

interface ErrorPage {
  status: number
  title: string
  sentence: string
  advice: string
}

/** The one place that decides what a person sees of an error. What the log says is sharper. */
export function errorPage(logger: Logger) {
  return async (error: unknown, req: Request, res: Response, next: NextFunction): Promise<void> => {
    if (res.headersSent) return next(error)
    const page = describe(error)
    if (page.status >= 500) logger.error({ requestId: req.requestId, error }, 'request failed')
    if (page.status === 503) res.setHeader('Retry-After', '5')
    if (error instanceof TooManyGuesses) {
      res.setHeader('Retry-After', secondsUntil(error.wait.retryAt, portalOf(req).clock()))
      logEvent(req, 'too_many_guesses', { suspended: error.wait.suspended })
    }
    res.status(page.status)
    const reference = req.requestId
    const back = { backHref: '/dashboard', backLabel: 'Go to your apps' }
    await render(req, res, 'errors/show', { title: page.title, narrow: true }, { ...page, reference, ...back })
  }
}

/** Words for every failure; also for those of the protocol's pages. */
export function describe(error: unknown): ErrorPage {
  if (error instanceof RequestRefused)
    return { status: error.status, title: error.title, sentence: error.message, advice: error.advice }
  // Before the stores are suspected: a browser that hung up in the middle of a form has a broken connection, too.
  const status = (error as { status?: unknown } | null)?.status
  if (typeof status === 'number' && status >= 400 && status < 500) return refusals[status] ?? { ...generic, status }
  if (error instanceof HasherBusy || error instanceof EstimatorBusy || isUnavailable(error)) {
    return {
      status: 503,
      title: 'One moment, please',
      sentence: 'The portal is very busy or being repaired.',
      advice: 'Nothing was lost. Try again in a few seconds.',
    }
  }
  return {
    status: 500,
    title: 'Something went wrong',
    sentence: 'The portal made a mistake. It has been written down.',
    advice: 'Try again. If it happens again, tell your support the reference below.',
  }
}

const generic: ErrorPage = {
  status: 400,
  title: 'That did not work',
  sentence: 'The portal could not make sense of what your browser sent.',
  advice: 'Go back, reload the page and try once more.',
}

const refusals: Record<number, ErrorPage> = {
  413: { ...generic, status: 413, sentence: 'What your browser sent is too large.' },
  415: { ...generic, status: 415, sentence: 'What your browser sent is not a form the portal knows.' },
}
