import { type Command, InvalidArgumentError } from 'commander'
import { endFamilies } from '../domain/endings/endings.ts'
import { type FamilyRow, findFamily, searchFamilies } from '../domain/families/families.ts'
import { endCauseOf, endInWords, reuseAdvice, reuseOf } from '../domain/families/family-ends.ts'
import { findIdentity, findIdentityByLogin } from '../domain/identities/identities.ts'
import { familyTimeline } from '../domain/families/family-timeline.ts'
import { clientMessage } from '../domain/geoip.ts'
import type { Services } from '../domain/services.ts'
import { findDeliveryStatuses } from '../domain/families/delivery-status.ts'
import { englishTexts } from '../i18n/texts.ts'
import { isUuid } from '../domain/uuid.ts'
import { CommandRefused } from './command-refused.ts'
import { onPortal, print, printList } from './output.ts'

interface FamilyOptions {
  json?: boolean
  user?: string
  app?: string
  limit: number
}

export function addFamilyCommands(program: Command): void {
  const family = program.command('family').description('Find out why a user was signed out of an app.')

  onPortal(
    family
      .command('list')
      .description('List the families of a user, or the active ones of an app, newest first.')
      .option('--user <login>', 'user name or e-mail address')
      .option('--app <client-id>', 'of this app only')
      .option('--limit <count>', 'at most so many', count, 50),
    async (services, { user, app, limit, json }: FamilyOptions) => {
      if (user === undefined && app === undefined) throw new CommandRefused('name a --user or an --app')
      const identity = user === undefined ? null : await findIdentityByLogin(services, user)
      if (user !== undefined && identity === null) throw new CommandRefused(`there is no identity ${user}`)
      const families = await searchFamilies(services, {
        identityId: identity?.id ?? null,
        clientId: app ?? null,
        after: null,
        limit,
      })
      printList(
        families.map((each) => describe(services, each)),
        ['id', 'app', 'opened_at', 'from', 'generation', 'ended_at', 'why'],
        json,
      )
    },
  )

  onPortal(
    family
      .command('show <id>')
      .description('Show the timeline of a family (its id is `fam` in its tokens, and in the log).'),
    async (services, id: string, { json }: FamilyOptions) => tell(services, await find(services, id), json),
  )

  onPortal(
    family.command('end <id>').description('End a family; the user has to sign in to the app again.'),
    async (services, id: string, { json }: FamilyOptions) => {
      await find(services, id)
      await endFamilies(services, { id }, 'operator', null)
      print(describe(services, await find(services, id)), json)
    },
  )
}

async function find(services: Services, id: string): Promise<FamilyRow> {
  const family = isUuid(id) ? await findFamily(services, id) : null
  if (family === null) throw new CommandRefused(`there is no family ${id}, or it ended too long ago to be remembered`)
  return family
}

async function tell(services: Services, family: FamilyRow, json: boolean | undefined): Promise<void> {
  const texts = englishTexts()
  const entries = await familyTimeline(services, family)
  const timeline = entries.map(({ kind, sentence, count, firstAt, lastAt, generation, clients }) => ({
    kind,
    what: texts.say(sentence),
    count,
    first: firstAt,
    last: lastAt,
    generation,
    from: clients.map((client) => (typeof client === 'string' ? client : texts.say(client))),
  }))
  const identity = await findIdentity(services, family.identityId)
  const delivery = (await findDeliveryStatuses(services, [family])).get(family.id)
  const reuse = reuseOf(family)
  const about = {
    ...describe(services, family),
    heard: delivery === undefined ? null : texts.say(delivery.sentence),
    tokens_until: delivery?.tokensUntil ?? null,
    user: identity?.username ?? null,
    ...(reuse?.by === 'app' ? { advice: reuseAdvice(reuse) } : {}),
    identity_id: family.identityId,
  }
  const notices = delivery?.ways.map(({ notification: { id, kind, state, attempts, problem, confirmedAt } }) => {
    return { id, kind, state, attempts, problem, confirmed_at: confirmedAt }
  })
  if (json) return print({ ...about, notices: notices ?? [], story: timeline }, json)
  print(about, json)
  process.stdout.write('\n')
  printList(
    timeline.map((entry) => ({ ...entry, from: entry.from.join('; ') })),
    ['first', 'last', 'kind', 'what', 'from'],
    json,
  )
}

function describe(services: Services, family: FamilyRow): Record<string, unknown> {
  const cause = endCauseOf(family, services.clock())
  return {
    id: family.id,
    app: family.clientId,
    state: cause === null ? 'living' : 'ended',
    opened_at: family.createdAt,
    from: englishTexts().say(clientMessage(services, family)),
    generation: family.generation,
    last_used_at: family.lastUsedAt,
    expires_at: family.idleExpiresAt,
    ended_at: family.endedAt,
    cause,
    why: cause === null ? null : endInWords(services, cause, family),
  }
}

function count(value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new InvalidArgumentError('It must be a number from 1 to 9999.')
  return Number(value)
}
