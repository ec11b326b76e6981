import { Refused } from '../refused.ts'

/** The operator's change of an app or an API is invalid. */
export class AppRefused extends Refused {}

/** @throws AppRefused with these faults, when there are any */
export function refuse(faults: string[]): void {
  if (faults.length > 0) throw new AppRefused(faults.join('\n'))
}
