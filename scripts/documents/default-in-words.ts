import type { Setting } from '../../src/settings/setting.ts'

/** "300 (5 minutes)" or "1500 (milliseconds)". */
export function defaultInWords({ default: preset, defaultInWords: words, type }: Setting): string {
  if (preset === null) return words ?? 'none'
  const explained = type.unit === 'seconds' ? durationInWords(Number(preset)) : type.unit
  return explained === undefined ? `\`${preset}\`` : `\`${preset}\` (${explained})`
}

/** In the largest unit that divides it. */
function durationInWords(seconds: number): string {
  for (const [unit, length] of [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
  ] as const)
    if (seconds >= length && seconds % length === 0)
      return `${seconds / length} ${unit}${seconds === length ? '' : 's'}`
  return `${seconds} second${seconds === 1 ? '' : 's'}`
}
