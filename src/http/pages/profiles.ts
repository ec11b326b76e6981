import type { Request, Response } from 'express'
import { changeProfile, findProfile } from '../../domain/accounts/profiles.ts'
import {
  LONGEST_PICTURE,
  type Profile,
  PROFILE_FIELDS,
  type ProfileProblems,
} from '../../domain/identities/profiles.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { redirectWith } from '../flash-messages.ts'
import { textField } from '../form-fields.ts'
import { keptElsewhere } from '../http-errors.ts'
import { takeFields } from '../kept-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'

/** GET /settings/profile */
export async function newProfileChange(req: Request, res: Response): Promise<void> {
  if (signedInOf(req).sourceId !== null) throw keptElsewhere()
  const before = await findProfile(servicesOf(req), signedInOf(req).identityId)
  await show(req, res, { ...before, ...takeFields(req, res) })
}

/** POST /settings/profile; a field that is not sent stays as it is. */
export async function createProfileChange(req: Request, res: Response): Promise<void> {
  if (signedInOf(req).sourceId !== null) throw keptElsewhere()
  const typed = typedIn(req.body)
  const outcome = await changeProfile(servicesOf(req), signedInOf(req), typed, req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  if (outcome.kind === 'refused') {
    res.status(422)
    const before = await findProfile(servicesOf(req), signedInOf(req).identityId)
    return show(req, res, { ...before, ...typed }, outcome.problems)
  }
  if (outcome.kind === 'changed') logEvent(req, 'profile_changed')
  redirectWith(req, res, 'profile-changed', '/settings')
}

/** The street may have several lines. */
function typedIn(body: unknown): Partial<Profile> {
  const fields = (body ?? {}) as Record<string, unknown>
  const sent = PROFILE_FIELDS.filter((name) => fields[name] !== undefined)
  return Object.fromEntries(
    sent.map((name) => {
      const value = fields[name]
      if (name !== 'street_address' || typeof value !== 'string') return [name, textField(body, name, LONGEST_SENT)]
      const lines = value.split(/\r\n|\r|\n/)
      return [name, lines.map((line) => textField({ [name]: line }, name, LONGEST_SENT)).join('\n')]
    }),
  )
}

/** No field takes more than this, whatever is typed (characters). */
const LONGEST_SENT = 2 * LONGEST_PICTURE

async function show(req: Request, res: Response, values: Profile, problems: ProfileProblems = {}): Promise<void> {
  await render(
    req,
    res,
    'profiles/edit',
    { title: textsOf(req).t('profile.title'), nav: 'settings' },
    { values, problems },
  )
}
