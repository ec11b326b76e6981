export function addSeconds(date: Date, seconds: number): Date {
  return new Date(date.getTime() + seconds * 1000)
}

/** Whole seconds until then, and at least one: what a `Retry-After` says (RFC 9110 §10.2.3). */
export function secondsUntil(date: Date, now: Date): number {
  return Math.max(1, Math.ceil((date.getTime() - now.getTime()) / 1000))
}

/** Whole seconds from the one to the other. */
export function secondsBetween(from: Date, to: Date): number {
  return Math.floor((to.getTime() - from.getTime()) / 1000)
}

export function epochSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}
