import type { Message } from '../i18n/messages.ts'
import { englishTexts } from '../i18n/texts.ts'

/** What is wrong with the request of an operator, for programs. */
export type RefusalCode =
  /** There is no such thing. */
  | 'not_found'
  /** A value is not allowed. */
  | 'invalid'
  /** Something else has this name, or the thing is in a state that does not allow it. */
  | 'conflict'
  /** The portal would be left without an administrator. */
  | 'last_administrator'
  /** A client of the admin API with some scopes only would get at more than these. */
  | 'insufficient_scope'

/** A rule refuses what an operator asks for. The message is for the operator; it lists the faults, one a line. */
export class Refused extends Error {
  readonly code: RefusalCode
  /** The fields that are at fault, where that is known; a field of a list has its path, such as `roles.0`. */
  readonly problems: FieldProblem[]

  constructor(message: string, code: RefusalCode = 'invalid', problems: FieldProblem[] = []) {
    super(message)
    this.code = code
    this.problems = problems
  }
}

export interface FieldProblem {
  field: string
  problem: string
}

/** Refuses what was given for these fields. */
export function refusedFields(problems: Record<string, Message | undefined>, code: RefusalCode = 'invalid'): Refused {
  const found = Object.entries(problems).flatMap(([field, words]) =>
    words === undefined ? [] : [{ field, problem: englishTexts().say(words) }],
  )
  return new Refused(linesOf(found), code, found)
}

/** One line for each problem. */
export function linesOf(problems: FieldProblem[]): string {
  return problems.map(({ field, problem }) => (field === '' ? problem : `${field}: ${problem}`)).join('\n')
}
