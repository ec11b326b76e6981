import { parseArgs } from 'node:util'

export type StoreKind = 'postgres' | 'postgres+redis'
export type CoresChoice = 'pin' | 'none'

export interface Options {
  parts: string[]
  json: boolean
  /** A quick look, not a record. */
  quick: boolean
  stores: StoreKind[]
  /** Names of scenarios; empty means all. */
  only: string[]
  /** Of one slice; null for the part's default. */
  seconds: number | null
  /** Null for the part's default. */
  rounds: number | null
  profile: boolean
  /** Of the large table; null for the part's default. */
  families: number | null
  /** Null for the part's default. */
  rotations: number | null
  /** Null for the part's default. */
  cores: CoresChoice | null
}

export const USAGE = `npm run bench [-- [part …] [options]]

  part                endpoints (unless others are named), siege, source, workers, start, growth,
                      enumeration, revocation, lifetimes, stalls, pages, administration, imports
  --quick             a part within a minute, endpoints on PostgreSQL alone; for a look, not for a record
  --json              nothing but JSON on standard output
  --seconds N         of every slice
  --rounds N          in which whatever is compared takes turns
  --cores pin|none    whether what is measured has cores of its own; endpoints and growth pin, others do not
  --only a,b          endpoints: these scenarios
  --store S           endpoints: postgres, redis (PostgreSQL and Redis) or both
  --profile           endpoints: a CPU profile of the portal
  --families N        growth: of the large table; lifetimes: clients, and thefts; administration: in all
  --rotations N       growth: whose wear is looked at; lifetimes: refreshes`

/** @throws Error that names the wrong argument */
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
      families: { type: 'string' },
      rotations: { type: 'string' },
      cores: { type: 'string' },
    },
  })
  const { quick, cores } = values
  if (cores !== undefined && cores !== 'pin' && cores !== 'none') throw new Error('--cores is pin or none')

  return {
    parts: positionals,
    json: values.json,
    quick,
    stores: storesOf(values.store ?? (quick ? 'postgres' : 'both')),
    only: values.only.split(',').filter((name) => name !== ''),
    seconds: values.seconds === undefined ? null : positive('--seconds', values.seconds),
    rounds: countOf('--rounds', values.rounds),
    profile: values.profile,
    families: countOf('--families', values.families),
    rotations: countOf('--rotations', values.rotations),
    cores: cores ?? null,
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

/** Null when absent. */
function countOf(name: string, value: string | undefined): number | null {
  return value === undefined ? null : Math.ceil(positive(name, value))
}

function positive(name: string, value: string): number {
  const number = Number(value)
  if (!(number > 0)) throw new Error(`${name} is a number above 0`)
  return number
}
