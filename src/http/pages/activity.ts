import type { Request, Response } from 'express'
import { type ActivityEvent, type ActivityLine, listActivityLines } from '../../domain/activity.ts'
import { browserMessage } from '../../domain/user-agents.ts'
import { ipMessage } from '../../domain/geoip.ts'
import type { Services } from '../../domain/services.ts'
import type { Texts } from '../../i18n/texts.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { render } from '../page.ts'

const PAGE_LENGTH = 50
/** Events that a line of several shows one by one. */
const MOST_EVENTS = 20

/** GET /activity */
export async function listActivity(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const texts = textsOf(req)
  const before =
    typeof req.query['before'] === 'string' && /^\d{1,18}$/.test(req.query['before']) ? req.query['before'] : null
  const { lines, next } = await listActivityLines(services, signedInOf(req).identityId, PAGE_LENGTH, before)
  const now = services.clock()

  const days = Map.groupBy(lines, ({ events: [newest] }) => texts.day((newest as ActivityEvent).at, now))
  await render(
    req,
    res,
    'activity/index',
    { title: texts.t('activity.title'), nav: 'activity' },
    {
      days: [...days].map(([label, ofDay]) => ({
        label,
        lines: ofDay.map((line) => shape(services, texts, line, now)),
      })),
      olderHref: next === null ? null : `/activity?before=${next}`,
    },
  )
}

function shape(services: Services, texts: Texts, { sentence, tone, events }: ActivityLine, now: Date) {
  const shaped = events.slice(0, MOST_EVENTS).map((event) => ({
    at: texts.time(event.at, now),
    place: placeOf(services, texts, event),
    ended: event.endedBrowser === null ? null : texts.say(browserMessage(event.endedBrowser)),
    href: hrefOf(event),
  }))
  const [newest] = shaped
  const [last, first] = [events[0], events.at(-1)] as [ActivityEvent, ActivityEvent]
  const [from, to] = [texts.time(first.at, now), texts.time(last.at, now)]
  const isOne = events.length === 1
  return {
    sentence,
    tone,
    // Two times that read the same are said once.
    times: from.text === to.text ? [to] : [from, to],
    place:
      newest !== undefined && shaped.every(({ place }) => String(place) === String(newest.place)) ? newest.place : [],
    href: isOne ? newest?.href : null,
    several: isOne ? null : { count: events.length, events: shaped, moreCount: events.length - shaped.length },
  }
}

function placeOf(services: Services, texts: Texts, { browser, address }: ActivityEvent): string[] {
  return [
    ...(browser === null ? [] : [texts.say(browserMessage(browser))]),
    ...(address === null ? [] : [texts.say(ipMessage(services, address))]),
  ]
}

/** The page of what the event is about. */
function hrefOf({ familyId, identitySessionId }: ActivityEvent): string | null {
  if (familyId !== null) return `/families/${familyId}`
  return identitySessionId === null ? null : `/sessions/${identitySessionId}`
}
