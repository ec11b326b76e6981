import type { Request, Response } from 'express'
import { deleteOwnAccount } from '../../domain/accounts/deletions.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { loginKeyOf } from '../../domain/limits/login-keys.ts'
import { addSeconds } from '../../domain/time.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { textField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { destroySession } from '../middleware/session.ts'
import { render } from '../page.ts'
import type { TimeWords } from '../../i18n/times.ts'

/** GET /settings/deletion */
export async function newDeletion(req: Request, res: Response): Promise<void> {
  await show(req, res, '', null)
}

/** POST /settings/deletion */
export async function createDeletion(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const { username } = signedIn
  const typed = textField(req.body, 'username')
  if (loginKeyOf(typed) !== loginKeyOf(username)) {
    res.status(422)
    return show(req, res, typed, textsOf(req).t('deletion.wrong_name'))
  }
  const erasedFrom = await deleteOwnAccount(services, signedIn, req.clientInfo)
  if (isLapsed(erasedFrom)) return askToSignIn(req, res)
  logEvent(req, 'deletion_requested')
  await destroySession(req, res)
  req.signedIn = null
  // Of two concurrent requests, one has deleted the account; the other has nothing to log.
  if (erasedFrom === null) return res.redirect(303, '/login')
  await render(
    req,
    res,
    'deletions/created',
    { title: textsOf(req).t('deletion.done_title'), narrow: true },
    { time: endOfGrace(req, erasedFrom) },
  )
}

async function show(req: Request, res: Response, typed: string, problem: string | null): Promise<void> {
  const services = servicesOf(req)
  const { username, sourceId } = signedInOf(req)
  const erasedFrom = addSeconds(services.clock(), services.lifetimes.deletionGrace)
  await render(
    req,
    res,
    'deletions/new',
    { title: textsOf(req).t('deletion.title'), narrow: true },
    { username, typed, problem, time: endOfGrace(req, erasedFrom), isElsewhere: sourceId !== null },
  )
}

/** Null where there is no grace period. */
function endOfGrace(req: Request, erasedFrom: Date): TimeWords | null {
  const now = servicesOf(req).clock()
  return erasedFrom > now ? textsOf(req).time(erasedFrom, now) : null
}
