import type { Wait } from '../domain/limits/login-throttling.ts'
import { secondsUntil } from '../domain/time.ts'
import { type Message, message, type Words } from '../i18n/messages.ts'

/** The words for a rate-limited user, the same with and without an account (no account enumeration). */
export interface WaitWords {
  title: Message
  sentence: Words
  advice: Message
}

export function waitInWords({ retryAt, ipBlocked }: Omit<Wait, 'kind'>, now: Date): WaitWords {
  if (!ipBlocked) {
    return {
      title: message('wait.title'),
      sentence: message('wait.sentence'),
      advice: durationInWords(secondsUntil(retryAt, now)),
    }
  }
  return {
    title: message('wait.paused_title'),
    sentence: message('wait.paused', { time: retryAt }),
    advice: message('wait.paused_advice'),
  }
}

function durationInWords(seconds: number): Message {
  const minutes = Math.ceil(seconds / 60)
  if (seconds < 60) return message('wait.seconds', { count: seconds })
  return minutes < 60
    ? message('wait.minutes', { count: minutes })
    : message('wait.hours', { count: Math.ceil(minutes / 60) })
}
