import { type ProblemCode, problemAnchor, PROBLEMS } from '../administration/problems.ts'
import { Forbidden, InvalidInput } from '../administration/operation.ts'
import { isUnavailable } from '../domain/errors.ts'
import { Refused } from '../domain/refused.ts'

/** A request to the admin API is refused. */
export class Problem extends Error {
  readonly code: ProblemCode
  /** By field, where fields are the problem. */
  readonly fields: { field: string; problem: string }[]
  readonly headers: Record<string, string>

  constructor(code: ProblemCode, detail: string, headers: Record<string, string> = {}, fields: Problem['fields'] = []) {
    super(detail)
    this.code = code
    this.headers = headers
    this.fields = fields
  }
}

/** What an error says to the client. Only `server_error` is unexpected. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof InvalidInput) return new Problem(error.code, error.message, {}, error.problems)
  if (error instanceof Refused) return new Problem(error.code, error.message)
  if (error instanceof Forbidden) return new Problem('insufficient_scope', error.message)
  if (isUnavailable(error)) return new Problem('unavailable', PROBLEMS.unavailable.meaning, { 'Retry-After': '5' })
  return new Problem('server_error', PROBLEMS.server_error.meaning)
}

/** The body of a refusal (RFC 9457). */
export function problemBody({ code, message, fields }: Problem, publicUrl: string): Record<string, unknown> {
  const { status, title } = PROBLEMS[code]
  return {
    type: `${publicUrl}/docs/errors#${problemAnchor(code)}`,
    title,
    status,
    code,
    detail: message,
    ...(fields.length === 0 ? {} : { errors: fields }),
  }
}
