import { Refused } from '../refused.ts'
import type { Fault } from './setting-faults.ts'

/** The operator's change of an app or an API is invalid. */
export class AppRefused extends Refused {
  /** Which settings it is about, where it is about settings. */
  readonly faults: Fault[] = []

  /** The refusal of settings with these faults. */
  static of(faults: Fault[]): AppRefused {
    const refused = new AppRefused(faults.map(({ problem }) => problem).join('\n'))
    refused.faults.push(...faults)
    return refused
  }
}

/** @throws AppRefused with these faults, when there are any */
export function refuse(faults: Fault[]): void {
  if (faults.length > 0) throw AppRefused.of(faults)
}
