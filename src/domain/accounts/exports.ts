import { insertAuditEvents } from '../../storage/audit.ts'
import {
  type ExportedClient,
  findProfile,
  listConsentsToExport,
  listDevicesToExport,
  listFamiliesToExport,
  listIntroductionsToExport,
  listLinkedAccountsToExport,
  listMailLinksToExport,
  listSecondFactorsToExport,
  listSessionsToExport,
} from '../../storage/exports.ts'
import type { Texts } from '../../i18n/texts.ts'
import { listActivityEntries } from '../activity.ts'
import { END_CAUSES, type EndCause } from '../endings/end-causes.ts'
import { endInWords } from '../families/family-ends.ts'
import { isStillSignedIn, type Lapsed, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/** Rows in memory at a time, of lists without a bound. */
const PAGE = 1000

/** Inserts the audit event of a data export, before any data is sent. */
export async function beginExport(
  services: Services,
  signedIn: SignIn,
  clientInfo: ClientInfo,
): Promise<void | Lapsed> {
  const event = { kind: 'data_exported', identityId: signedIn.identityId, ...clientInfo } as const
  return whileSignedIn(services, signedIn, 'fresh', (db) => insertAuditEvents(db, [event], services.clock()))
}

/**
 * Everything held about a user, as pieces of one JSON text. Each piece is read from the database when it is needed, so a long
 * history costs no memory, and a slow client holds no connection. Sentences in it are in the language of `texts`. Hashes and secrets are left out. It stops when the sign-in ends.
 * @throws SignInOver
 */
export async function* exportAccount(services: Services, signedIn: SignIn, texts: Texts): AsyncGenerator<string> {
  for await (const piece of piecesOf(services, signedIn.identityId, texts)) {
    if (!(await isStillSignedIn(services, signedIn))) throw new SignInOver()
    yield piece
  }
}

/** The same, for an operator who looks after the account. It writes the audit event, before any data is read. */
export async function* exportForOperator(services: Services, identityId: string, texts: Texts): AsyncGenerator<string> {
  const event = { kind: 'data_exported', identityId, actor: services.operator } as const
  await insertAuditEvents(services.storage.pool, [event], services.clock())
  yield* piecesOf(services, identityId, texts)
}

/** The sign-in of a download ended before the download did. */
export class SignInOver extends Error {
  constructor() {
    super('the sign-in ended during the download')
  }
}

async function* piecesOf(services: Services, identityId: string, texts: Texts): AsyncGenerator<string> {
  const { pool } = services.storage
  const about = { issuer: services.publicUrl, made_at: services.clock() }
  const withWords = <R extends ExportedClient & { end_cause?: string | null }>(row: R) => ({
    ...row,
    place: placeOf(services, row.address),
    ...(row.end_cause ? { end_reason: texts.say(END_CAUSES[row.end_cause as EndCause].words) } : {}),
  })

  yield `{\n"about": ${JSON.stringify(about)},\n"profile": ${JSON.stringify(await findProfile(pool, identityId))}`
  yield* section('sessions', [(await listSessionsToExport(pool, identityId)).map(withWords)])
  yield* section('families', familiesOf(services, identityId))
  yield* section('known_browsers', [(await listDevicesToExport(pool, identityId)).map(withWords)])
  yield `,\n"second_factors": ${JSON.stringify(await listSecondFactorsToExport(pool, identityId))}`
  yield* section('linked_accounts', [await listLinkedAccountsToExport(pool, identityId)])
  yield* section('consents', [await listConsentsToExport(pool, identityId)])
  yield* section('first_time_notices', [await listIntroductionsToExport(pool, identityId)])
  yield* section('pending_links', [await listMailLinksToExport(pool, identityId)])
  yield* section('activity', activityOf(services, identityId, texts))
  yield '\n}\n'
}

/** A list by name, a row on each line. */
async function* section(name: string, pages: Iterable<object[]> | AsyncIterable<object[]>): AsyncGenerator<string> {
  yield `,\n${JSON.stringify(name)}: [`
  let isFirst = true
  for await (const page of pages) {
    if (page.length === 0) continue
    yield `${isFirst ? '' : ','}\n${page.map((row) => JSON.stringify(row)).join(',\n')}`
    isFirst = false
  }
  yield ']'
}

type Families = Awaited<ReturnType<typeof listFamiliesToExport>>

async function* familiesOf(services: Services, identityId: string): AsyncGenerator<object[]> {
  let page: Families = []
  do {
    page = await listFamiliesToExport(services.storage.pool, identityId, page.at(-1) ?? null, PAGE)
    yield page.map((family) => ({
      ...family,
      place: placeOf(services, family.address),
      ...endOf(services, family),
    }))
  } while (page.length === PAGE)
}

function placeOf({ geoip }: Services, address: string): string | null {
  return geoip.locationOf(address)?.names.en ?? null
}

function endOf(services: Services, family: Families[number]): object {
  if (family.end_cause === null) return {}
  const { end_browser: endBrowser, end_address: endAddress, end_generation: endGeneration, refreshes } = family
  const end = { endBrowser, endAddress, endGeneration, generation: refreshes }
  return { end_reason: endInWords(services, family.end_cause as EndCause, end) }
}

async function* activityOf(services: Services, identityId: string, texts: Texts): AsyncGenerator<object[]> {
  let page: Awaited<ReturnType<typeof listActivityEntries>> = []
  do {
    page = await listActivityEntries(services, identityId, PAGE, page.at(-1)?.id ?? null)
    yield page.map(({ at, sentence, familyId, browser, address }) => ({
      at,
      sentence: texts.say(sentence),
      family: familyId,
      browser,
      address,
    }))
  } while (page.length === PAGE)
}
