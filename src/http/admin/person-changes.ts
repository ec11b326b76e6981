import type { Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { optionalField, textField } from '../form-fields.ts'
import { act } from './act.ts'
import { type Form, type FormField, namesIn, showForm, submitForm } from './form.ts'
import type { Person, PersonRequest } from './people.ts'

/** What an operator corrects of what the user has said; the rest is the user's own business. */
const PROFILE = ['name', 'given_name', 'family_name', 'nickname', 'phone_number'] as const

/** GET /admin/people/:identity/correction */
export async function newCorrection(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  await showForm(req, res, 'people', correctionForm(req, person))
}

/** POST /admin/people/:identity/correction */
export async function createCorrection(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const input = {
    identity: person.id,
    username: textField(req.body, 'username'),
    email: textField(req.body, 'email'),
    ...(optionalField(req.body, 'email_verified', 3) === 'yes' ? { email_verified: true } : {}),
    profile: Object.fromEntries(PROFILE.map((field) => [field, textField(req.body, field, 1000)])),
  }
  const done = await submitForm(req, res, 'people', correctionForm(req, person), async () =>
    act(req, OPERATIONS.updateIdentity, input),
  )
  if (done === null) return
  const { id, username } = done.answer
  redirectWith(req, res, 'person-corrected', `/admin/people/${id}`, { values: { username } })
}

function correctionForm(req: PersonRequest, person: Person): Form {
  const { t } = textsOf(req)
  const labels = {
    name: t('profile.name_label'),
    given_name: t('profile.given_name_label'),
    family_name: t('profile.family_name_label'),
    nickname: t('profile.nickname_label'),
    phone_number: t('profile.phone_label'),
  }
  const isConfirmed = person.email_verified
  return {
    title: t('admin.people.correct_title', { username: person.username }),
    lead: t('admin.people.correct_lead'),
    fields: [
      { name: 'username', label: t('admin.people.username_label'), value: person.username },
      { name: 'email', label: t('admin.people.email_label'), type: 'email', value: person.email },
      {
        name: 'email_verified',
        label: t('admin.people.confirmed_label'),
        type: 'checkbox',
        hint: t(isConfirmed ? 'admin.people.confirmed_new_hint' : 'admin.people.confirmed_hint'),
      },
      ...PROFILE.map((field): FormField => ({ name: field, label: labels[field], value: person.profile[field] ?? '' })),
    ],
    action: `/admin/people/${person.id}/correction`,
    button: t('admin.save_button'),
    backHref: `/admin/people/${person.id}`,
  }
}

/** GET /admin/people/:identity/roles */
export async function editRoles(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  await showForm(req, res, 'people', rolesForm(req, person))
}

/** POST /admin/people/:identity/roles */
export async function updateRoles(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const roles = namesIn(textField(req.body, 'roles', 7000))
  const done = await submitForm(req, res, 'people', rolesForm(req, person), async () =>
    act(req, OPERATIONS.setIdentityRoles, { identity: person.id, roles }),
  )
  if (done !== null) rolesChanged(req, res, person)
}

function rolesForm(req: PersonRequest, { id, username, assigned_roles: roles }: Person): Form {
  const { t } = textsOf(req)
  return {
    title: t('admin.people.roles_title', { username }),
    lead: t('admin.people.roles_lead'),
    fields: [
      {
        name: 'roles',
        label: t('admin.people.roles_label'),
        hint: t('admin.people.roles_hint'),
        value: roles.join(' '),
        maximum: 7000,
      },
    ],
    action: `/admin/people/${id}/roles`,
    button: t('admin.save_button'),
    backHref: `/admin/people/${id}`,
  }
}

/** GET /admin/people/:identity/app-roles */
export async function editAppRoles(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const clientId = optionalField(req.query, 'client_id', 200) ?? ''
  await showForm(req, res, 'people', appRolesForm(req, person, clientId))
}

/** POST /admin/people/:identity/app-roles */
export async function updateAppRoles(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const clientId = textField(req.body, 'client_id', 200)
  const roles = namesIn(textField(req.body, 'roles', 7000))
  const done = await submitForm(req, res, 'people', appRolesForm(req, person, clientId), async () =>
    act(req, OPERATIONS.setIdentityAppRoles, { identity: person.id, client_id: clientId, roles }),
  )
  if (done !== null) rolesChanged(req, res, person)
}

function appRolesForm(req: PersonRequest, { id, username, app_roles: known }: Person, clientId: string): Form {
  const { t } = textsOf(req)
  const roles = Object.hasOwn(known, clientId) ? (known[clientId] ?? []) : []
  return {
    title: t('admin.people.app_roles_title', { username }),
    lead: t('admin.people.app_roles_lead'),
    fields: [
      { name: 'client_id', label: t('admin.people.client_id_label'), value: clientId, maximum: 200, isRequired: true },
      {
        name: 'roles',
        label: t('admin.people.app_roles_label'),
        hint: t('admin.people.app_roles_hint'),
        value: roles.join(' '),
        maximum: 7000,
      },
    ],
    action: `/admin/people/${id}/app-roles`,
    button: t('admin.save_button'),
    backHref: `/admin/people/${id}`,
  }
}

function rolesChanged(req: PersonRequest, res: Response, { id, username }: Person): void {
  redirectWith(req, res, 'person-roles-changed', `/admin/people/${id}`, { values: { username } })
}

/** GET /admin/people/:identity/attributes */
export async function editAttribute(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const attribute = optionalField(req.query, 'attribute', 200) ?? ''
  await showForm(req, res, 'people', attributeForm(req, person, attribute))
}

/** POST /admin/people/:identity/attributes */
export async function updateAttribute(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const attribute = textField(req.body, 'attribute', 200)
  const value = textField(req.body, 'value', 2000)
  const done = await submitForm(req, res, 'people', attributeForm(req, person, attribute), async () =>
    act(req, OPERATIONS.setIdentityAttribute, { identity: person.id, attribute, value }),
  )
  if (done === null) return
  redirectWith(req, res, 'person-attribute-changed', `/admin/people/${person.id}`, { values: { attribute } })
}

function attributeForm(req: PersonRequest, { id, username, attributes }: Person, attribute: string): Form {
  const { t } = textsOf(req)
  const value = Object.hasOwn(attributes, attribute) ? attributes[attribute] : undefined
  return {
    title: t('admin.people.attribute_title', { username }),
    lead: t('admin.people.attribute_lead'),
    fields: [
      {
        name: 'attribute',
        label: t('admin.people.attribute_label'),
        hint: t('admin.people.attribute_hint'),
        value: attribute,
        maximum: 64,
        isRequired: true,
      },
      {
        name: 'value',
        label: t('admin.people.attribute_value_label'),
        value: value ?? '',
        maximum: 500,
        isRequired: true,
      },
    ],
    action: `/admin/people/${id}/attributes`,
    button: t('admin.save_button'),
    backHref: `/admin/people/${id}`,
  }
}

/** GET /admin/people/:identity/groups */
export async function newMembership(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  await showForm(req, res, 'people', membershipForm(req, person))
}

/** POST /admin/people/:identity/groups */
export async function createMembership(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const group = textField(req.body, 'group', 200)
  const done = await submitForm(req, res, 'people', membershipForm(req, person), async () =>
    act(req, OPERATIONS.addGroupMembers, { group, identities: [person.id] }),
  )
  if (done === null) return
  redirectWith(req, res, 'person-joined', `/admin/people/${person.id}`, { values: { group } })
}

function membershipForm(req: PersonRequest, { id, username }: Person): Form {
  const { t } = textsOf(req)
  return {
    title: t('admin.people.join_title', { username }),
    lead: t('admin.people.join_lead'),
    fields: [{ name: 'group', label: t('admin.groups.name_label'), maximum: 100, isRequired: true }],
    action: `/admin/people/${id}/groups`,
    button: t('admin.people.join_button'),
    backHref: `/admin/people/${id}`,
  }
}
