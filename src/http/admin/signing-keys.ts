import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { Refused } from '../../domain/refused.ts'
import type { MessageKey } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { textField } from '../form-fields.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'

type KeyRequest = Request<{ kid: string }>

const STATES = {
  next: 'admin.keys.states.next',
  signing: 'admin.keys.states.signing',
  retiring: 'admin.keys.states.retiring',
  retired: 'admin.keys.states.retired',
  revoked: 'admin.keys.states.revoked',
} as const satisfies Record<string, MessageKey>

/** GET /admin/keys */
export async function listSigningKeys(req: Request, res: Response): Promise<void> {
  const texts = textsOf(req)
  const now = servicesOf(req).clock()
  const { items } = await act(req, OPERATIONS.listSigningKeys)
  await renderAdmin(
    req,
    res,
    'admin/keys/index',
    { title: texts.t('admin.keys.title'), section: 'keys' },
    {
      keys: items.map((key) => ({
        kid: key.kid,
        alg: key.alg,
        state: key.state,
        stateWords: texts.t(STATES[key.state]),
        facts: factsOf(key, now).map(([label, at]) => ({ label: texts.t(label), at: texts.time(new Date(at), now) })),
        revokeHref: key.state === 'revoked' ? null : `/admin/keys/${encodeURIComponent(key.kid)}/revocation`,
      })),
    },
  )
}

type Key = Awaited<ReturnType<typeof findKey>>

function factsOf(key: Key, now: Date): [MessageKey, string][] {
  const isPast = (at: string) => new Date(at) <= now
  const { created_at: created, signs_from: from, tokens_until: until, rotates_at: rotates, revoked_at: revoked } = key
  return [
    ['admin.keys.created', created],
    ...(revoked === null
      ? [[isPast(from) ? 'admin.keys.signed_from' : 'admin.keys.signs_from', from] as [MessageKey, string]]
      : []),
    ...(until === null
      ? []
      : [[isPast(until) ? 'admin.keys.tokens_were_until' : 'admin.keys.tokens_until', until] as [MessageKey, string]]),
    ...(rotates === null ? [] : [['admin.keys.rotates_at', rotates] as [MessageKey, string]]),
    ...(revoked === null ? [] : [['admin.keys.revoked_at', revoked] as [MessageKey, string]]),
  ]
}

/** GET /admin/keys/rotation */
export async function newKeyRotation(req: Request, res: Response): Promise<void> {
  await renderRotation(req, res, '', null)
}

/** POST /admin/keys/rotation */
export async function createKeyRotation(req: Request, res: Response): Promise<void> {
  const typed = textField(req.body, 'signs_from')
  const signsFrom = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(typed) ? `${typed}:00Z` : typed
  try {
    const { items } = await act(req, OPERATIONS.rotateSigningKeys, typed === '' ? {} : { signs_from: signsFrom })
    const time = textsOf(req).time(new Date(items[0]?.signs_from ?? ''), servicesOf(req).clock()).text
    redirectWith(req, res, 'keys-rotated', '/admin/keys', { values: { time } })
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    await renderRotation(req, res.status(422), typed, textsOf(req).t('admin.keys.signs_from_problem'))
  }
}

async function renderRotation(req: Request, res: Response, signsFrom: string, problem: string | null): Promise<void> {
  const title = textsOf(req).t('admin.keys.rotate_title')
  await renderAdmin(req, res, 'admin/keys/rotation', { title, section: 'keys' }, { signsFrom, problem })
}

/** GET /admin/keys/:kid/revocation */
export async function newKeyRevocation(req: KeyRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const key = await findKey(req)
  const breaks: MessageKey[] =
    key.state === 'retired'
      ? ['admin.keys.revoke_unused']
      : key.state === 'next'
        ? ['admin.keys.revoke_unused', 'admin.keys.revoke_replaced']
        : [
            'admin.keys.revoke_lead',
            'admin.keys.revoke_signing',
            ...(key.state === 'signing' ? (['admin.keys.revoke_replaced'] as const) : []),
          ]
  await ask(req, res, 'keys', {
    title: t('admin.keys.revoke_title', { kid: key.kid }),
    lines: [...breaks.map((each) => t(each)), t('admin.keys.revoke_forever')],
    action: `/admin/keys/${encodeURIComponent(key.kid)}/revocation`,
    button: t('admin.keys.revoke_button'),
    backHref: '/admin/keys',
  })
}

/** POST /admin/keys/:kid/revocation */
export async function createKeyRevocation(req: KeyRequest, res: Response): Promise<void> {
  const { kid } = req.params
  await act(req, OPERATIONS.revokeSigningKey, { kid })
  redirectWith(req, res, 'key-revoked', '/admin/keys', { values: { kid } })
}

async function findKey(req: KeyRequest) {
  const { kid } = req.params
  const key = (await act(req, OPERATIONS.listSigningKeys)).items.find((each) => each.kid === kid)
  if (key === undefined) throw new Refused(`there is no key ${kid}`, 'not_found')
  return key
}
