import { InvalidArgumentError } from 'commander'

/** How much of a list is printed. */
export function limit(value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new InvalidArgumentError('It must be a number from 1 to 9999.')
  return Number(value)
}
