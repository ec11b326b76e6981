/** The operator's change of an app or an API is invalid. The message lists the faults, one a line. */
export class AppRefused extends Error {}

/** @throws AppRefused with these faults, when there are any */
export function refuse(faults: string[]): void {
  if (faults.length > 0) throw new AppRefused(faults.join('\n'))
}
