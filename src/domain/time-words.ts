/** A moment as pages print it: for machines, in full, and as people say it. */
export interface TimeWords {
  iso: string
  text: string
  ago: string
}

const FULL = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  timeZone: 'UTC',
})
const DATE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'UTC' })
const DAY = new Intl.DateTimeFormat('en-GB', {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
  timeZone: 'UTC',
})
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const UNITS = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const

export function timeInWords(at: Date, now: Date): TimeWords {
  return { iso: at.toISOString(), text: `${FULL.format(at)} UTC`, ago: ago(at, now) }
}

/** "Today", "Yesterday", or the day. */
export function dayInWords(at: Date, now: Date): string {
  const days = Math.floor(now.getTime() / 86_400_000) - Math.floor(at.getTime() / 86_400_000)
  return days === 0 ? 'Today' : days === 1 ? 'Yesterday' : DAY.format(at)
}

/** To the second: "at 12:01:03 UTC", with the date unless it is today. */
export function secondInWords(at: Date, now: Date): string {
  const clock = `at ${CLOCK.format(at)} UTC`
  return DATE.format(at) === DATE.format(now) ? clock : `on ${DATE.format(at)} ${clock}`
}

function ago(at: Date, now: Date): string {
  const seconds = (now.getTime() - at.getTime()) / 1000
  const unit = UNITS.find(([, length]) => seconds >= length)
  return unit === undefined ? 'just now' : RELATIVE.format(-Math.floor(seconds / unit[1]), unit[0])
}
