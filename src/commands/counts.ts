import { InvalidArgumentError } from 'commander'

/** Reads how many of a list a command prints. */
export function readCount(value: string): number {
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(value)
}
