/** A moment as pages print it: for machines, in full, and as people say it. */
export interface TimeWords {
  iso: string
  text: string
  ago: string
}

const UNITS = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const

/** A duration as the largest unit that fits, rounded down: -3 hours. Null for less than a minute. */
export function agoOf(at: Date, now: Date): { count: number; unit: Intl.RelativeTimeFormatUnit } | null {
  const seconds = (now.getTime() - at.getTime()) / 1000
  const unit = UNITS.find(([, length]) => seconds >= length)
  return unit === undefined ? null : { count: -Math.floor(seconds / unit[1]), unit: unit[0] }
}

/** True for the name of a time zone (IANA), such as "Europe/Rome". */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Z][\w+/-]{1,63}$/i.test(name)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
