import type { Request, RequestHandler, Response } from 'express'
import type { AnyOperation } from '../../administration/operation.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import type { MessageKey } from '../../i18n/messages.ts'
import { textsOf } from '../context.ts'
import { type FlashMessage, redirectWith } from '../flash-messages.ts'
import { optionalField } from '../form-fields.ts'
import { act } from './act.ts'
import { ask } from './admin-page.ts'
import type { PersonRequest } from './people.ts'

/** An act on a person that needs no more than a yes. */
interface PersonAct {
  operation: AnyOperation
  title: MessageKey
  lead: MessageKey
  button: MessageKey
  done: FlashMessage
  isDangerous: boolean
}

/** By the end of their path below `/admin/people/:identity`. */
export const PERSON_ACTS = {
  disablement: {
    operation: OPERATIONS.disableIdentity,
    title: 'admin.people.disable_title',
    lead: 'admin.people.disable_lead',
    button: 'admin.people.disable_button',
    done: 'person-disabled',
    isDangerous: true,
  },
  enablement: {
    operation: OPERATIONS.enableIdentity,
    title: 'admin.people.enable_title',
    lead: 'admin.people.enable_lead',
    button: 'admin.people.enable_button',
    done: 'person-enabled',
    isDangerous: false,
  },
  'password-reset': {
    operation: OPERATIONS.sendPasswordReset,
    title: 'admin.people.reset_title',
    lead: 'admin.people.reset_lead',
    button: 'admin.people.reset_button',
    done: 'person-reset-sent',
    isDangerous: false,
  },
  unlocking: {
    operation: OPERATIONS.unlockIdentity,
    title: 'admin.people.unlock_title',
    lead: 'admin.people.unlock_lead',
    button: 'admin.people.unlock_button',
    done: 'person-unlocked',
    isDangerous: false,
  },
  revocation: {
    operation: OPERATIONS.revokeEverything,
    title: 'admin.people.revoke_title',
    lead: 'admin.people.revoke_lead',
    button: 'admin.people.revoke_button',
    done: 'person-signed-out',
    isDangerous: true,
  },
  'factor-reset': {
    operation: OPERATIONS.resetSecondFactors,
    title: 'admin.people.factors_title',
    lead: 'admin.people.factors_lead',
    button: 'admin.people.factors_button',
    done: 'person-factors-removed',
    isDangerous: true,
  },
  keeping: {
    operation: OPERATIONS.keepIdentity,
    title: 'admin.people.keep_title',
    lead: 'admin.people.keep_lead',
    button: 'admin.people.keep_button',
    done: 'person-kept',
    isDangerous: false,
  },
} as const satisfies Record<string, PersonAct>

/** The page that asks, and the act. */
export function personAct(name: keyof typeof PERSON_ACTS): {
  question: RequestHandler<{ identity: string }>
  act: RequestHandler<{ identity: string }>
} {
  const { operation, title, lead, button, done, isDangerous }: PersonAct = PERSON_ACTS[name]
  return {
    async question(req, res) {
      const { t } = textsOf(req)
      const { id, username, email } = await act(req, OPERATIONS.showIdentity, req.params)
      await ask(req, res, 'people', {
        title: t(title, { username }),
        lines: [t(lead, { username, email })],
        action: `/admin/people/${id}/${name}`,
        button: t(button),
        isDangerous,
        backHref: `/admin/people/${id}`,
      })
    },
    async act(req, res) {
      const { id, username } = await act(req, OPERATIONS.showIdentity, req.params)
      await act(req, operation, { identity: id })
      redirectWith(req, res, done, `/admin/people/${id}`, { values: { username } })
    },
  }
}

/** GET /admin/people/:identity/deletion */
export async function newPersonDeletion(req: PersonRequest, res: Response): Promise<void> {
  await askForDeletion(req, res, false)
}

/** GET /admin/people/:identity/erasure */
export async function newPersonErasure(req: PersonRequest, res: Response): Promise<void> {
  await askForDeletion(req, res, true)
}

async function askForDeletion(req: PersonRequest, res: Response, isNow: boolean): Promise<void> {
  const { t } = textsOf(req)
  const { id, username } = await act(req, OPERATIONS.showIdentity, req.params)
  await ask(req, res, 'people', {
    title: t(isNow ? 'admin.people.erase_title' : 'admin.people.delete_title', { username }),
    lines: [t(isNow ? 'admin.people.erase_lead' : 'admin.people.delete_lead')],
    action: `/admin/people/${id}/deletion`,
    button: t(isNow ? 'admin.people.erase_button' : 'admin.people.delete_button'),
    fields: isNow ? { now: 'yes' } : {},
    backHref: `/admin/people/${id}`,
  })
}

/** POST /admin/people/:identity/deletion */
export async function createPersonDeletion(req: PersonRequest, res: Response): Promise<void> {
  const now = optionalField(req.body, 'now', 3) === 'yes'
  const { id, username } = await act(req, OPERATIONS.showIdentity, req.params)
  const { erased_from: erasedFrom } = await act(req, OPERATIONS.deleteIdentity, { identity: id, now })
  const [done, path] =
    erasedFrom === null
      ? (['person-erased', '/admin/people'] as const)
      : (['person-deleted', `/admin/people/${id}`] as const)
  redirectWith(req, res, done, path, { values: { username } })
}

/** GET /admin/people/:identity/export */
export async function newPersonExport(req: PersonRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { id, username } = await act(req, OPERATIONS.showIdentity, req.params)
  await ask(req, res, 'people', {
    title: t('admin.people.export_title', { username }),
    lines: [t('admin.people.export_lead')],
    action: `/admin/people/${id}/export`,
    button: t('admin.people.export_button'),
    isDangerous: false,
    backHref: `/admin/people/${id}`,
  })
}

/** POST /admin/people/:identity/export */
export async function createPersonExport(req: PersonRequest, res: Response): Promise<void> {
  const data = await act(req, OPERATIONS.exportIdentity, req.params)
  res
    .attachment('account.json')
    .type('json')
    .send(JSON.stringify(data, null, 1))
}

type SessionRequest = Request<{ identity: string; session: string }>

/** GET /admin/people/:identity/sessions/:session/ending */
export async function newSessionEnding(req: SessionRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { id, username } = await act(req, OPERATIONS.showIdentity, { identity: req.params.identity })
  const { items } = await act(req, OPERATIONS.listIdentitySessions, { identity: id })
  const session = items.find((each) => each.id === req.params.session)
  const path = `/admin/people/${id}`
  if (session === undefined) return redirectWith(req, res, 'person-browser-over', path)
  const { browser, address } = session
  await ask(req, res, 'people', {
    title: t('admin.people.end_session_title', { username, browser }),
    lines: [t('admin.people.end_session_lead', { browser, address })],
    action: `${path}/sessions/${session.id}/ending`,
    button: t('admin.people.end_session_button'),
    backHref: path,
  })
}

/** POST /admin/people/:identity/sessions/:session/ending */
export async function createSessionEnding(req: SessionRequest, res: Response): Promise<void> {
  await act(req, OPERATIONS.endIdentitySession, req.params)
  redirectWith(req, res, 'person-browser-ended', `/admin/people/${req.params.identity}`)
}

type FactorRequest = Request<{ identity: string; factor: string }>

/** GET /admin/people/:identity/second-factors/:factor/removal */
export async function newFactorRemoval(req: FactorRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const person = await act(req, OPERATIONS.showIdentity, { identity: req.params.identity })
  const factor = person.second_factors.find(({ id }) => id === req.params.factor)
  const path = `/admin/people/${person.id}`
  if (factor === undefined) return redirectWith(req, res, 'person-factor-gone', path)
  const { id, name, kind } = factor
  const isLast = person.second_factors.filter((each) => each.is_second_step).length === 1 && factor.is_second_step
  await ask(req, res, 'people', {
    title: t('admin.people.factor_title', { name, kind }),
    lines: [
      t('admin.people.factor_lead', { username: person.username }),
      ...(isLast ? [t('admin.people.factor_last', { username: person.username })] : []),
    ],
    action: `${path}/second-factors/${id}/removal`,
    button: t('admin.people.factor_button'),
    backHref: path,
  })
}

/** POST /admin/people/:identity/second-factors/:factor/removal */
export async function createFactorRemoval(req: FactorRequest, res: Response): Promise<void> {
  await act(req, OPERATIONS.removeSecondFactor, req.params)
  redirectWith(req, res, 'person-factor-removed', `/admin/people/${req.params.identity}`)
}

type AttributeRequest = Request<{ identity: string; attribute: string }>

/** GET /admin/people/:identity/attributes/:attribute/removal */
export async function newAttributeRemoval(req: AttributeRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { attribute } = req.params
  const { id, username } = await act(req, OPERATIONS.showIdentity, { identity: req.params.identity })
  await ask(req, res, 'people', {
    title: t('admin.people.attribute_removal_title', { attribute, username }),
    lines: [t('admin.people.attribute_removal_lead')],
    action: `/admin/people/${id}/attributes/${encodeURIComponent(attribute)}/removal`,
    button: t('admin.people.attribute_removal_button'),
    backHref: `/admin/people/${id}`,
  })
}

/** POST /admin/people/:identity/attributes/:attribute/removal */
export async function createAttributeRemoval(req: AttributeRequest, res: Response): Promise<void> {
  const { identity, attribute } = req.params
  await act(req, OPERATIONS.removeIdentityAttribute, req.params)
  redirectWith(req, res, 'person-attribute-changed', `/admin/people/${identity}`, { values: { attribute } })
}
