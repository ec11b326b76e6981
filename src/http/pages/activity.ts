import type { Request, Response } from 'express'
import { type ActivityEntry, listActivityEntries } from '../../domain/activity.ts'
import { browserInWords } from '../../domain/user-agents.ts'
import { ipInWords } from '../../domain/geoip.ts'
import type { Services } from '../../domain/services.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { render } from '../page.ts'
import { dayInWords, timeInWords } from '../../domain/time-words.ts'

const PAGE_LENGTH = 50

/** GET /activity */
export async function listActivity(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const before =
    typeof req.query['before'] === 'string' && /^\d{1,18}$/.test(req.query['before']) ? req.query['before'] : null
  const happenings = await listActivityEntries(services, signedInOf(req).identityId, PAGE_LENGTH + 1, before)
  const now = services.clock()

  const shown = happenings.slice(0, PAGE_LENGTH)
  const days = Map.groupBy(shown, (entry) => dayInWords(entry.at, now))
  await render(
    req,
    res,
    'activity/index',
    { title: 'Activity', nav: 'activity' },
    {
      days: [...days].map(([label, ofDay]) => ({
        label,
        events: ofDay.map((entry) => shape(services, entry, now)),
      })),
      olderHref: happenings.length > PAGE_LENGTH ? `/activity?before=${shown.at(-1)?.id}` : null,
    },
  )
}

function shape(services: Services, entry: ActivityEntry, now: Date) {
  const browser = entry.browser === null ? null : browserInWords(entry.browser)
  const address = entry.address === null ? null : ipInWords(services, entry.address)
  return {
    time: timeInWords(entry.at, now),
    sentence: entry.sentence,
    place: [browser, address].filter((part) => part !== null).join(', ') || null,
    tone: entry.tone,
    reference: entry.familyId,
  }
}
