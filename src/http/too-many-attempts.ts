import type { Wait } from '../domain/limits/login-throttling.ts'
import { secondsUntil } from '../domain/time.ts'
import { timeInWords } from '../domain/time-words.ts'

/** The words for a rate-limited user, the same with and without an account (no account enumeration). */
export interface WaitWords {
  title: string
  sentence: string
  advice: string
}

export function waitInWords({ retryAt, ipBlocked }: Omit<Wait, 'kind'>, now: Date): WaitWords {
  if (!ipBlocked) {
    return {
      title: 'Too many tries',
      sentence: 'There were too many tries in a short time.',
      advice: `Wait ${durationInWords(secondsUntil(retryAt, now))}, then try again.`,
    }
  }
  const { text } = timeInWords(retryAt, now)
  const isToday = retryAt.toISOString().slice(0, 10) === now.toISOString().slice(0, 10)
  return {
    title: 'Sign-in is paused',
    sentence: `Sign-in from your network is paused until ${isToday ? text.slice(-'12:05 UTC'.length) : text}, because too many wrong tries came from there.`,
    advice: 'Try again then, or use a browser in which you have signed in before.',
  }
}

function durationInWords(seconds: number): string {
  const minutes = Math.ceil(seconds / 60)
  const [count, unit] =
    seconds < 60 ? [seconds, 'second'] : minutes < 60 ? [minutes, 'minute'] : [Math.ceil(minutes / 60), 'hour']
  return count === 1 ? `one ${unit}` : `${count} ${unit}s`
}
