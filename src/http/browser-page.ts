import type { Request, Response } from 'express'
import { END_CAUSES, type EndCause } from '../domain/endings/end-causes.ts'
import { listFamiliesOfSession, isLiving } from '../domain/families/families.ts'
import type { DeviceRow } from '../domain/sign-in/devices.ts'
import type { OwnSessionRow } from '../domain/sign-in/identity-sessions.ts'
import { findTrustOf } from '../domain/sign-in/trusted-browsers.ts'
import { browserMessage } from '../domain/user-agents.ts'
import { type Message, message, type Words } from '../i18n/messages.ts'
import type { TimeWords } from '../i18n/times.ts'
import { servicesOf, signedInOf, textsOf } from './context.ts'
import { render } from './page.ts'

/** A browser with what is known of it: a sign-in, a device that it names itself by, or both. */
export type ShownBrowser =
  { session: OwnSessionRow; device: DeviceRow | null } | { session: OwnSessionRow | null; device: DeviceRow }

/** What a URL calls a device: its hash, from which the cookie cannot be computed. */
export function idOfDevice({ hash }: Pick<DeviceRow, 'hash'>): string {
  return hash.toString('base64url')
}

/** The page about one browser, with its name to change. */
export async function renderBrowser(
  req: Request,
  res: Response,
  { session, device }: ShownBrowser,
  refused: { name: string; problem: string } | null = null,
): Promise<void> {
  const services = servicesOf(req)
  const { id: here, identityId } = signedInOf(req)
  const texts = textsOf(req)
  const now = services.clock()
  const isSignedIn = session?.isLiving ?? false
  const { browser: userAgent, address } = (session ?? device) as OwnSessionRow | DeviceRow
  const usual = browserMessage(userAgent)
  const name = device?.name ?? usual
  const families = isSignedIn && session !== null ? await listFamiliesOfSession(services, identityId, session.id) : []
  const trustedUntil = device && (await findTrustOf(services, device))
  const place = services.geoip.locationOf(address)

  const facts: { label: string; text?: Words; at?: TimeWords }[] = []
  const addTime = (label: string, at: Date) => facts.push({ label, at: texts.time(at, now) })
  if (device?.name !== null) facts.push({ label: texts.t('session.browser'), text: usual })
  if (session !== null) {
    addTime(texts.t('session.signed_in_at'), session.createdAt)
    addTime(texts.t('session.last_seen'), session.lastSeenAt)
  } else if (device !== null) addTime(texts.t('session.last_sign_in'), device.lastSeenAt)
  if (device !== null) addTime(texts.t('session.first_seen'), device.firstSeenAt)
  if (place !== null) facts.push({ label: texts.t('session.place'), text: place })
  facts.push({ label: texts.t('session.address'), text: address })
  facts.push({
    label: texts.t('session.user_agent'),
    text: userAgent === '' ? message('session.user_agent_none') : userAgent,
  })

  await render(
    req,
    res,
    'identity-sessions/show',
    { title: typeof name === 'string' ? name : texts.say(name), nav: 'sessions' },
    {
      id: session?.id ?? null,
      name,
      lead: leadOf(session),
      isSignedIn,
      isHere: session?.id === here,
      facts,
      apps: families
        .filter((family) => isLiving(family, now))
        .map(({ id, appName, lastUsedAt }) => ({ id, appName, lastUsed: texts.time(lastUsedAt, now) })),
      deviceId: device === null ? null : idOfDevice(device),
      trustedUntil: trustedUntil && texts.time(trustedUntil, now),
      givenName: refused?.name ?? device?.name ?? '',
      problem: refused?.problem ?? null,
    },
  )
}

function leadOf(session: OwnSessionRow | null): Message {
  if (session === null) return message('session.known_lead')
  if (session.isLiving) return message('session.living_lead')
  if (session.endedAt === null) return message('session.over_lead')
  const why = END_CAUSES[session.endCause as EndCause].words
  return message('session.ended_lead', { time: session.endedAt, why })
}
