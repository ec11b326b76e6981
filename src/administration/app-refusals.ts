import { AppRefused } from '../domain/apps/app-refused.ts'
import { InvalidInput } from './operation.ts'

/**
 * Calls a rule of apps or APIs. Its refusal of settings names them as the input does. @param names the setting of the registry by
 * the name of the field @throws InvalidInput, Refused
 */
export async function byField<T>(names: Record<string, string>, rule: () => Promise<T>): Promise<T> {
  try {
    return await rule()
  } catch (error) {
    if (!(error instanceof AppRefused) || error.faults.length === 0) throw error
    const fieldOf = (setting: string | null) => Object.entries(names).find(([, each]) => each === setting)?.[0] ?? ''
    throw new InvalidInput(
      error.faults.map(({ setting, problem }) => ({ field: fieldOf(setting), problem })),
      error.message,
    )
  }
}
