/** The value below which this share (0 to 1) of ascending values lies; NaN when there are none. */
export function percentile(ascending: ArrayLike<number>, share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN
}

/** NaN when there are none. */
export function median(values: number[]): number {
  const ascending = values.toSorted((a, b) => a - b)
  const middle = ascending.length >> 1
  const upper = ascending[middle] ?? Number.NaN
  return ascending.length % 2 === 1 ? upper : ((ascending[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Null when any is missing, for example because the operating system does not report it. */
export function medianOrNull(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === values.length && known.length > 0 ? median(known) : null
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
