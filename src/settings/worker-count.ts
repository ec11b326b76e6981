import { availableParallelism } from 'node:os'
import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** A number of processes; `auto` is read as one for each core. */
export function workerCount(): ValueType<number> {
  return {
    schema: z
      .string()
      .regex(/^(auto|[1-9]\d{0,2})$/, 'must be a number of processes or auto')
      .transform((value) => (value === 'auto' ? availableParallelism() : Number(value))),
    words: 'a whole number from 1 to 999, or `auto` for one process for each core',
  }
}
