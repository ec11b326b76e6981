import { z } from 'zod'
import { endFamilies } from '../domain/endings/endings.ts'
import { findDeliveryStatuses } from '../domain/families/delivery-status.ts'
import { type FamilyRow, findFamily, searchFamilies } from '../domain/families/families.ts'
import { endCauseOf, endInWords, reuseAdvice, reuseOf } from '../domain/families/family-ends.ts'
import { familyTimeline, type TimelineEntry } from '../domain/families/family-timeline.ts'
import { clientMessage } from '../domain/geoip.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { isUuid } from '../domain/uuid.ts'
import { englishTexts } from '../i18n/texts.ts'
import { IDENTITY, protectOperators, theIdentity } from './found-identities.ts'
import { operation } from './operation.ts'
import { keyIn, listOf, PAGE, pageOf } from './pages-of-lists.ts'

const family = z
  .object({
    id: z.uuid().describe('The claim `fam` of its tokens.'),
    identity_id: z.uuid(),
    client_id: z.string(),
    app_name: z.string(),
    state: z.enum(['living', 'ended']),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
    browser: z.string(),
    address: z.string(),
    from: z.string().describe('The client that it was opened from, in words.'),
    generation: z.number().int().describe('How often its refresh token was replaced.'),
    scope: z.string(),
    ended_at: z.iso.datetime().nullable(),
    cause: z.string().nullable(),
    why: z.string().nullable().describe('Why it ended, in words.'),
  })
  .meta({ id: 'Family' })

const entry = z.object({
  kind: z.string(),
  what: z.string(),
  count: z.number().int(),
  first_at: z.iso.datetime().nullable(),
  last_at: z.iso.datetime().nullable(),
  generation: z.number().int().nullable(),
  from: z.array(z.string()),
  is_warning: z.boolean(),
})

const notification = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.string(),
  attempts: z.number().int(),
  problem: z.string().nullable(),
  confirmed_at: z.iso.datetime().nullable(),
})

const details = family
  .extend({
    username: z.string(),
    delivery: z.string().nullable().describe('Whether the app has heard of the end, in words.'),
    tokens_until: z.iso
      .datetime()
      .nullable()
      .describe('From then on no application token of an ended family is valid.'),
    advice: z.string().nullable().describe('For the developer of an app that used an old refresh token.'),
    notifications: z.array(notification),
    timeline: z.array(entry),
  })
  .meta({ id: 'FamilyDetails' })

const which = { family: z.uuid().describe('The id of the family.') }
const app = z.string().min(1).max(200)
const reading = { resource: 'families', kind: 'read', forSupport: true } as const

export const FAMILY_OPERATIONS = {
  listFamilies: operation({
    name: 'listFamilies',
    summary: 'List the families of an identity, or the ones of an app that have not ended, newest first.',
    method: 'get',
    path: '/families',
    ...reading,
    input: z.strictObject({
      identity: IDENTITY.identity.optional(),
      client_id: app.optional(),
      ...PAGE,
    }),
    output: listOf(family),
    async act(services, { identity, client_id: clientId, limit, cursor }) {
      if (identity === undefined && clientId === undefined) throw new Refused('name an identity or an app')
      const owner = identity === undefined ? null : await theIdentity(services, identity)
      return listPage(services, owner?.id ?? null, clientId ?? null, limit, cursor)
    },
  }),

  listIdentityFamilies: operation({
    name: 'listIdentityFamilies',
    summary: 'List the families of an identity, newest first, those that have ended as well.',
    method: 'get',
    path: '/identities/{identity}/families',
    ...reading,
    input: z.strictObject({ ...IDENTITY, client_id: app.optional(), ...PAGE }),
    output: listOf(family),
    async act(services, { identity, client_id: clientId, limit, cursor }) {
      const { id } = await theIdentity(services, identity)
      return listPage(services, id, clientId ?? null, limit, cursor)
    },
  }),

  showFamily: operation({
    name: 'showFamily',
    summary: 'Show a family, with its timeline and who has been told of its end.',
    method: 'get',
    path: '/families/{family}',
    ...reading,
    input: z.strictObject(which),
    output: details,
    async act(services, { family: id }) {
      return describeInFull(services, await theFamily(services, id))
    },
  }),

  endFamily: operation({
    name: 'endFamily',
    summary: 'End a family; the user has to sign in to the app again.',
    method: 'delete',
    path: '/families/{family}',
    resource: 'families',
    kind: 'write',
    forSupport: true,
    input: z.strictObject(which),
    output: null,
    async act(services, { family: id }) {
      const { identityId } = await theFamily(services, id)
      await protectOperators(services, await theIdentity(services, identityId))
      await endFamilies(services, { id }, 'operator', null)
      return null
    },
  }),
}

async function listPage(
  services: Services,
  identityId: string | null,
  clientId: string | null,
  limit: number,
  cursor: string | undefined,
) {
  const [at, id] = keyIn(cursor, 2) ?? []
  const createdAt = new Date(at ?? NaN)
  if (cursor !== undefined && (Number.isNaN(createdAt.getTime()) || typeof id !== 'string' || !isUuid(id)))
    throw new Refused('cursor: is not the next_cursor of an answer')
  const after = typeof id === 'string' ? { createdAt, id } : null
  const rows = await searchFamilies(services, { identityId, clientId, after, limit: limit + 1 })
  return pageOf(
    rows,
    limit,
    (row) => describe(services, row),
    (row) => [row.createdAt.toISOString(), row.id],
  )
}

async function theFamily(services: Services, id: string): Promise<FamilyRow> {
  const found = await findFamily(services, id)
  if (found === null)
    throw new Refused(`there is no family ${id}, or it ended too long ago to be remembered`, 'not_found')
  return found
}

function describe(services: Services, row: FamilyRow): z.output<typeof family> {
  const cause = endCauseOf(row, services.clock())
  return {
    id: row.id,
    identity_id: row.identityId,
    client_id: row.clientId,
    app_name: row.appName,
    state: cause === null ? 'living' : 'ended',
    created_at: row.createdAt.toISOString(),
    last_used_at: row.lastUsedAt.toISOString(),
    expires_at: row.idleExpiresAt.toISOString(),
    browser: row.browser,
    address: row.address,
    from: englishTexts().say(clientMessage(services, row)),
    generation: row.generation,
    scope: row.scope,
    ended_at: row.endedAt?.toISOString() ?? null,
    cause,
    why: cause === null ? null : endInWords(services, cause, row),
  }
}

async function describeInFull(services: Services, row: FamilyRow): Promise<z.output<typeof details>> {
  const texts = englishTexts()
  const delivery = (await findDeliveryStatuses(services, [row])).get(row.id)
  const reuse = reuseOf(row)
  const describeEntry = (each: TimelineEntry): z.output<typeof entry> => ({
    kind: each.kind,
    what: texts.say(each.sentence),
    count: each.count,
    first_at: each.firstAt?.toISOString() ?? null,
    last_at: each.lastAt?.toISOString() ?? null,
    generation: each.generation,
    from: each.clients.map((client) => (typeof client === 'string' ? client : texts.say(client))),
    is_warning: each.tone === 'warning',
  })
  return {
    ...describe(services, row),
    username: (await theIdentity(services, row.identityId)).username,
    delivery: delivery === undefined ? null : texts.say(delivery.sentence),
    tokens_until: delivery?.tokensUntil.toISOString() ?? null,
    advice: reuse?.by === 'app' ? reuseAdvice(reuse) : null,
    notifications: (delivery?.ways ?? []).map(
      ({ notification: { id, kind, state, attempts, problem, confirmedAt } }) => ({
        id,
        kind,
        state,
        attempts,
        problem,
        confirmed_at: confirmedAt?.toISOString() ?? null,
      }),
    ),
    timeline: (await familyTimeline(services, row)).map(describeEntry),
  }
}
