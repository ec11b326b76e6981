import { parseArgs } from 'node:util'

export type StoreKind = 'postgres' | 'postgres+redis'

export interface Options {
  parts: string[]
  json: boolean
  stores: StoreKind[]
  /** Names of scenarios; empty means all. */
  only: string[]
  /** Of one slice: one scenario on one subject. */
  seconds: number
  rounds: number
  warmUpSeconds: number
  /** How many codes one slice of the code exchange uses up. */
  codes: number
  profile: boolean
  cores: 'pin' | 'none'
}

export const USAGE = `npm run bench [-- [part …] [options]]

  --quick             everything within a minute, on PostgreSQL alone; for a look, not for a record
  --json              nothing but JSON on standard output
  --only a,b          these scenarios
  --store S           postgres, redis (PostgreSQL and Redis) or both
  --seconds N         of every slice
  --rounds N          in which the subjects take turns
  --profile           a CPU profile of the portal
  --cores none        pin nothing`

/** @throws Error that says what is wrong with the arguments */
export function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      store: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      profile: { type: 'boolean', default: false },
      cores: { type: 'string', default: 'pin' },
    },
  })
  const { quick, cores } = values
  if (cores !== 'pin' && cores !== 'none') throw new Error('--cores is pin or none')

  const seconds = values.seconds === undefined ? null : positive('--seconds', values.seconds)
  return {
    parts: positionals,
    json: values.json,
    stores: storesOf(values.store ?? (quick ? 'postgres' : 'both')),
    only: values.only.split(',').filter((name) => name !== ''),
    seconds: seconds ?? (quick ? 0.4 : 1.25),
    rounds: Math.ceil(values.rounds === undefined ? (quick ? 2 : 5) : positive('--rounds', values.rounds)),
    warmUpSeconds: quick ? 0.3 : 2,
    codes: quick ? 150 : 600,
    profile: values.profile,
    cores,
  }
}

function storesOf(choice: string): StoreKind[] {
  switch (choice) {
    case 'postgres':
      return ['postgres']
    case 'redis':
      return ['postgres+redis']
    case 'both':
      return ['postgres', 'postgres+redis']
    default:
      throw new Error('--store is postgres, redis or both')
  }
}

function positive(name: string, value: string): number {
  const number = Number(value)
  if (!(number > 0)) throw new Error(`${name} is a number above 0`)
  return number
}
