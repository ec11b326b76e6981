import {
  changeDirectoryUser,
  createDirectoryUser,
  deleteDirectoryUser,
  type DirectoryCondition,
  type DirectoryUser,
  findDirectoryUser,
  listDirectoryUsers,
} from '../../domain/accounts/directory-users.ts'
import type { Services } from '../../domain/services.ts'
import { isUuid } from '../../domain/uuid.ts'
import { type Condition, meets } from './filters.ts'
import { listAnswer, pageOf } from './list-answers.ts'
import { patched, readPatch } from './patches.ts'
import { checkVersion, type Precondition } from './preconditions.ts'
import type { ListQuery } from './queries.ts'
import { isObject, readResource, type Values } from './resources.ts'
import { USER } from './schemas.ts'
import { invalidFilter, ScimError } from './scim-errors.ts'
import { changedBy, userResource, valuesOf, writeOf, writtenBy } from './user-resources.ts'

/** @throws ScimError */
export async function listUsers(services: Services, query: ListQuery): Promise<Values> {
  const ofEmails = query.conditions.filter(({ attribute }) => EMAIL_PARTS.includes(attribute))
  const conditions = query.conditions.filter((each) => !ofEmails.includes(each)).flatMap(conditionOf)
  // One address at most meets them, so what else is said of it can be compared here.
  if (ofEmails.length > 0 && !conditions.some(({ field, operator }) => field === 'email' && operator === 'eq'))
    throw invalidFilter('emails.type and emails.primary need emails.value eq beside them')
  if (conditions.some((each) => each.field === 'id' && !isUuid(each.value)))
    return listAnswer(USER, query, { resources: [], total: 0 })
  const { users, total } = await listDirectoryUsers(services, conditions, pageOf(query))
  const resources = users.map((user) => userResource(user, services.publicUrl))
  if (ofEmails.length === 0) return listAnswer(USER, query, { resources, total })
  const meeting = resources.filter((each) => hasEmail(each, query.conditions))
  return listAnswer(USER, query, { resources: meeting, total: total - (resources.length - meeting.length) })
}

export async function showUser(services: Services, id: string): Promise<Values> {
  const user = isUuid(id) ? await findDirectoryUser(services, id) : null
  if (user === null) throw noUser(id)
  return userResource(user, services.publicUrl)
}

/** @throws ScimError, Refused */
export async function createUser(services: Services, sent: unknown): Promise<Values> {
  const user = await createDirectoryUser(services, writeOf(readResource(USER, sent), {}))
  return userResource(user, services.publicUrl)
}

/** @throws ScimError, Refused */
export async function replaceUser(
  services: Services,
  id: string,
  sent: unknown,
  precondition: Precondition,
): Promise<Values> {
  const next = readResource(USER, sent)
  return change(services, id, precondition, (user) => writeOf(next, writtenBy(user)))
}

/** @throws ScimError, Refused */
export async function patchUser(
  services: Services,
  id: string,
  sent: unknown,
  precondition: Precondition,
): Promise<Values> {
  const operations = readPatch(USER, sent)
  return change(services, id, precondition, (user) => {
    const shown = valuesOf(user)
    const { next, before } = changedBy(user, shown, patched(shown, operations))
    return writeOf(next, before)
  })
}

/** @throws ScimError, Refused */
export async function deleteUser(services: Services, id: string, precondition: Precondition): Promise<void> {
  if (!isUuid(id)) throw noUser(id)
  await deleteDirectoryUser(services, id, (user) => checkVersion(precondition, versionNow(services, user)))
}

async function change(
  services: Services,
  id: string,
  precondition: Precondition,
  write: (user: DirectoryUser) => ReturnType<typeof writeOf>,
): Promise<Values> {
  if (!isUuid(id)) throw noUser(id)
  const changed = await changeDirectoryUser(services, id, (user) => {
    checkVersion(precondition, versionNow(services, user))
    return write(user)
  })
  return userResource(changed, services.publicUrl)
}

function versionNow({ publicUrl }: Services, user: DirectoryUser): string {
  const { meta } = userResource(user, publicUrl) as { meta: { version: string } }
  return meta.version
}

const EMAIL_PARTS = ['emails.type', 'emails.primary', 'emails.display']

/** What the stores can be asked; nothing for what is true of every user. @throws ScimError */
function conditionOf(condition: Condition): DirectoryCondition[] {
  const field = FIELDS[condition.attribute]
  if (field === undefined) throw invalidFilter(`users cannot be found by ${condition.attribute}, only by ${FILTERABLE}`)
  const { operator } = condition
  if (operator === 'pr') {
    if (field === 'displayName') throw invalidFilter('displayName is compared with eq or sw')
    return field === 'externalId' ? [{ field, operator }] : []
  }
  if (field === 'active') {
    const value = typeof condition.value === 'string' ? condition.value.toLowerCase() : String(condition.value)
    if (operator !== 'eq' || (value !== 'true' && value !== 'false'))
      throw invalidFilter('active is compared with eq, and is true or false')
    return [{ field, operator, value: value === 'true' }]
  }
  const { value } = condition
  if (typeof value !== 'string') throw invalidFilter(`${condition.attribute} is compared with a string`)
  if (field !== 'id') return [{ field, operator, value }]
  if (operator !== 'eq') throw invalidFilter('id is compared with eq')
  return [{ field, operator, value }]
}

const FIELDS: Record<string, DirectoryCondition['field']> = {
  id: 'id',
  username: 'userName',
  externalid: 'externalId',
  emails: 'email',
  'emails.value': 'email',
  displayname: 'displayName',
  active: 'active',
}
const FILTERABLE = 'id, userName, externalId, emails.value, displayName and active'

/** Whether one e-mail address meets every condition on e-mail addresses. */
function hasEmail(resource: Values, conditions: Condition[]): boolean {
  const own = conditions.filter(({ attribute }) => attribute === 'emails' || attribute.startsWith('emails.'))
  const emails = Array.isArray(resource['emails']) ? resource['emails'].filter(isObject) : []
  return emails.some((email) =>
    own.every((each) =>
      meets(email[each.attribute === 'emails' ? 'value' : each.attribute.slice('emails.'.length)], each, false),
    ),
  )
}

function noUser(id: string): ScimError {
  return new ScimError(404, `there is no user ${id.slice(0, 100)}`)
}
