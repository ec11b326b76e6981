import { InvalidInput } from '../../administration/operation.ts'
import { Refused } from '../../domain/refused.ts'
import type { SettingField } from './setting-fields.ts'

/** Why an operation refuses a form: by field, and what belongs to none of its fields. */
export interface FormProblems {
  problems: Record<string, string>
  others: string[]
}

export const NO_PROBLEMS: FormProblems = { problems: {}, others: [] }

/** The problems of a form that was refused. @throws the error when the form cannot help it */
export function problemsOf(error: unknown, fields: SettingField[]): FormProblems {
  if (!(error instanceof Refused) || error.code === 'not_found') throw error
  if (!(error instanceof InvalidInput)) return { problems: {}, others: error.message.split('\n') }
  const problems: Record<string, string> = {}
  const others: string[] = []
  for (const { field, problem } of error.problems) {
    const name = field.split('.')[0] as string
    const known = fields.find((each) => each.name === name)
    if (known === undefined) others.push(field === '' ? problem : `${field}: ${problem}`)
    else problems[name] = problems[name] === undefined ? problem : `${problems[name]}; ${problem}`
  }
  return { problems, others }
}
