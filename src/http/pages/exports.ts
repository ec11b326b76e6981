import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Request, Response } from 'express'
import { beginExport, exportAccount, SignInOver } from '../../domain/accounts/exports.ts'
import { isLapsed, isStillSignedIn } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'

/** GET /settings/export */
export async function newExport(req: Request, res: Response): Promise<void> {
  await render(req, res, 'exports/new', { title: textsOf(req).t('export.title'), narrow: true }, {})
}

/** POST /settings/export: a JSON file, streamed. */
export async function createExport(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const { identityId, username } = signedIn
  if (isLapsed(await beginExport(services, signedIn, req.clientInfo))) return askToSignIn(req, res)
  logEvent(req, 'data_exported')
  res.attachment(`gatehouse-${username}.json`).type('application/json')
  // A client that stops reading requests nothing more, so the sign-in is checked beside the download, too.
  const over = new AbortController()
  const timer = setInterval(() => {
    isStillSignedIn(services, signedIn).then(
      (isSignedIn) => isSignedIn || over.abort(new SignInOver()),
      (error: unknown) => over.abort(error),
    )
  }, LOOK_EVERY_MS)
  // The pipeline adds seven 'close' listeners to the four that a response may have, and Node.js warns of a leak above ten.
  res.setMaxListeners(20)
  try {
    await pipeline(Readable.from(exportAccount(services, signedIn, textsOf(req))), res, { signal: over.signal })
  } catch (error) {
    if (error instanceof SignInOver || over.signal.reason instanceof SignInOver)
      return logEvent(req, 'download_cut', { identityId })
    // A client that stops a download, or has gone before it began, is no fault.
    if (!GONE.has((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    clearInterval(timer)
  }
}

const LOOK_EVERY_MS = 1000

const GONE = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_UNABLE_TO_PIPE'])
