import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { ADMIN, SUPPORT } from '../../domain/identities/roles.ts'
import type { AnswerOf } from '../../administration/operation.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { optionalField, textField } from '../form-fields.ts'
import { act, may } from './act.ts'
import { renderAdmin } from './admin-page.ts'
import { type Form, namesIn, showForm, submitForm } from './form.ts'

export type PersonRequest = Request<{ identity: string }>
export type Person = AnswerOf<typeof OPERATIONS.showIdentity>
type ListedPerson = AnswerOf<typeof OPERATIONS.listIdentities>['items'][number]
type Family = AnswerOf<typeof OPERATIONS.listFamilies>['items'][number]
type Event = AnswerOf<typeof OPERATIONS.listIdentityEvents>['items'][number]

/** How many there are of each on the page of a person; the rest has pages of its own. */
const FEW_FAMILIES = 10
const FEW_EVENTS = 15

const FILTERS = ['search', 'state', 'role', 'group'] as const

/** GET /admin/people */
export async function listPeople(req: Request, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const filters = Object.fromEntries(
    FILTERS.map((name) => [name, optionalField(req.query, name, 254)] as const).filter(([, value]) => value !== null),
  ) as Partial<Record<(typeof FILTERS)[number], string>>
  const cursor = optionalField(req.query, 'cursor', 1000)
  const page = await act(req, OPERATIONS.listIdentities, { ...filters, ...(cursor === null ? {} : { cursor }) })
  await renderAdmin(
    req,
    res,
    'admin/people/index',
    { title: t('admin.people.title'), section: 'people' },
    {
      people: page.items.map((each: ListedPerson) => shapeListed(req, each)),
      filters: { search: '', state: '', role: '', group: '', ...filters },
      isFiltered: Object.keys(filters).length > 0,
      nextHref:
        page.next_cursor && `/admin/people?${new URLSearchParams({ ...filters, cursor: page.next_cursor }).toString()}`,
      mayCreate: may(req, OPERATIONS.createIdentity),
    },
  )
}

/** GET /admin/people/new */
export async function newPerson(req: Request, res: Response): Promise<void> {
  await showForm(req, res, 'people', creationForm(req))
}

/** POST /admin/people/new */
export async function createPerson(req: Request, res: Response): Promise<void> {
  const input = {
    username: textField(req.body, 'username'),
    email: textField(req.body, 'email'),
    email_verified: optionalField(req.body, 'email_verified', 3) === 'yes',
    roles: namesIn(optionalField(req.body, 'roles', 2000) ?? ''),
  }
  const made = await submitForm(req, res, 'people', creationForm(req), async () =>
    act(req, OPERATIONS.createIdentity, input),
  )
  if (made === null) return
  const { id, username } = made.answer
  redirectWith(req, res, 'person-created', `/admin/people/${id}`, { values: { username } })
}

function creationForm(req: Request): Form {
  const { t } = textsOf(req)
  return {
    title: t('admin.people.new_title'),
    lead: t('admin.people.new_lead'),
    fields: [
      { name: 'username', label: t('admin.people.username_label'), isRequired: true },
      { name: 'email', label: t('admin.people.email_label'), type: 'email', isRequired: true },
      {
        name: 'email_verified',
        label: t('admin.people.confirmed_label'),
        type: 'checkbox',
        hint: t('admin.people.confirmed_hint'),
      },
      { name: 'roles', label: t('admin.people.roles_label'), hint: t('admin.people.roles_hint'), maximum: 2000 },
    ],
    action: '/admin/people/new',
    button: t('admin.people.create_button'),
    backHref: '/admin/people',
  }
}

/** GET /admin/people/:identity */
export async function showPerson(req: PersonRequest, res: Response): Promise<void> {
  const person = await act(req, OPERATIONS.showIdentity, req.params)
  const identity = person.id
  const [sessions, families, events] = await Promise.all([
    act(req, OPERATIONS.listIdentitySessions, { identity }),
    act(req, OPERATIONS.listIdentityFamilies, { identity, limit: FEW_FAMILIES }),
    act(req, OPERATIONS.listIdentityEvents, { identity, limit: FEW_EVENTS }),
  ])
  await renderAdmin(
    req,
    res,
    'admin/people/show',
    { title: person.username, section: 'people' },
    {
      person: shapePerson(req, person),
      mayChange: may(req, OPERATIONS.updateIdentity),
      mayHelp: mayHelp(req, person),
      sessions: sessions.items.map((each) => ({
        ...each,
        created: timeOf(req, each.created_at),
        seen: timeOf(req, each.last_seen_at),
        isTwoStep: each.amr.includes('mfa'),
      })),
      families: families.items.map((each: Family) => shapeFamily(req, each)),
      familiesHref: families.next_cursor && `/admin/people/${identity}/families`,
      events: events.items.map((each: Event) => shapeEvent(req, each)),
      eventsHref: events.next_cursor && `/admin/people/${identity}/events`,
    },
  )
}

/** GET /admin/people/:identity/families */
export async function listFamiliesOfPerson(req: PersonRequest, res: Response): Promise<void> {
  const { id, username } = await act(req, OPERATIONS.showIdentity, req.params)
  const page = await act(req, OPERATIONS.listIdentityFamilies, { identity: id, ...cursorIn(req) })
  await renderAdmin(
    req,
    res,
    'admin/people/families',
    { title: textsOf(req).t('admin.people.families_of', { username }), section: 'people' },
    {
      person: { id, username },
      families: page.items.map((each: Family) => shapeFamily(req, each)),
      nextHref: nextOf(`/admin/people/${id}/families`, page.next_cursor),
    },
  )
}

/** GET /admin/people/:identity/events */
export async function listEventsOfPerson(req: PersonRequest, res: Response): Promise<void> {
  const { id, username } = await act(req, OPERATIONS.showIdentity, req.params)
  const page = await act(req, OPERATIONS.listIdentityEvents, { identity: id, ...cursorIn(req) })
  await renderAdmin(
    req,
    res,
    'admin/people/events',
    { title: textsOf(req).t('admin.people.events_of', { username }), section: 'people' },
    {
      person: { id, username },
      events: page.items.map((each: Event) => shapeEvent(req, each)),
      nextHref: nextOf(`/admin/people/${id}/events`, page.next_cursor),
    },
  )
}

/** Where a list goes on. */
export function cursorIn(req: Request): { cursor?: string } {
  const cursor = optionalField(req.query, 'cursor', 1000)
  return cursor === null ? {} : { cursor }
}

export function nextOf(path: string, cursor: string | null): string | null {
  return cursor === null ? null : `${path}?${new URLSearchParams({ cursor }).toString()}`
}

export function timeOf(req: Request, at: string) {
  return textsOf(req).time(new Date(at), servicesOf(req).clock())
}

/** Support helps ordinary people only. */
function mayHelp(req: Request, { roles }: Person): boolean {
  return signedInOf(req).roles.includes(ADMIN) || !(roles.includes(ADMIN) || roles.includes(SUPPORT))
}

function shapeListed(
  req: Request,
  { id, username, name, email, email_verified: isConfirmed, state, roles, created_at: at }: ListedPerson,
) {
  return { id, username, name, email, isConfirmed, state, roles, created: timeOf(req, at) }
}

function shapePerson(req: Request, person: Person) {
  const optional = (at: string | null) => (at === null ? null : timeOf(req, at))
  return {
    ...person,
    created: timeOf(req, person.created_at),
    lastSignIn: optional(person.last_sign_in_at),
    erased: optional(person.erased_from),
    inherited: person.roles.filter((role) => !person.assigned_roles.includes(role)),
    appRoles: Object.entries(person.app_roles).map(([clientId, roles]) => ({ clientId, roles })),
    attributes: Object.entries(person.attributes).map(([name, value]) => ({ name, value })),
    profile: Object.entries(person.profile).map(([field, value]) => ({ field, value })),
    factors: person.second_factors.map(({ id, kind, name, created_at: made, last_used_at: used }) => ({
      id,
      kind,
      name,
      created: timeOf(req, made),
      used: optional(used),
    })),
  }
}

export function shapeFamily(
  req: Request,
  { id, app_name: app, state, from, why, created_at: opened, ended_at: ended, last_used_at: used }: Family,
) {
  return {
    id,
    app,
    isLiving: state === 'living',
    from,
    why,
    opened: timeOf(req, opened),
    used: timeOf(req, used),
    ended: ended === null ? null : timeOf(req, ended),
  }
}

function shapeEvent(req: Request, { sentence, is_warning: isWarning, at, address, actor }: Event) {
  return { sentence, isWarning, at: timeOf(req, at), address, actor }
}
