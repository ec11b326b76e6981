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
  const days = Map.groupBy(shown, (happening) => dayInWords(happening.at, now))
  await render(
    req,
    res,
    'activity/index',
    { title: 'Activity', nav: 'activity' },
    {
      days: [...days].map(([label, ofDay]) => ({
        label,
        events: ofDay.map((happening) => shape(services, happening, now)),
      })),
      olderHref: happenings.length > PAGE_LENGTH ? `/activity?before=${shown.at(-1)?.id}` : null,
    },
  )
}

function shape(services: Services, happening: ActivityEntry, now: Date) {
  const browser = happening.browser === null ? null : browserInWords(happening.browser)
  const address = happening.address === null ? null : ipInWords(services, happening.address)
  return {
    time: timeInWords(happening.at, now),
    sentence: happening.sentence,
    place: [browser, address].filter((part) => part !== null).join(', ') || null,
    tone: happening.tone,
    reference: happening.familyId,
  }
}
