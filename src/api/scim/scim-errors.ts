/** What is wrong with a request, for programs (RFC 7644 §3.12, table 9). */
export type ScimType =
  | 'invalidFilter'
  | 'tooMany'
  | 'uniqueness'
  | 'mutability'
  | 'invalidSyntax'
  | 'invalidPath'
  | 'noTarget'
  | 'invalidValue'
  // RFC 9865 §2.2.
  | 'invalidCursor'
  | 'invalidCount'

export type ScimStatus = 400 | 401 | 403 | 404 | 405 | 406 | 409 | 412 | 413 | 415 | 501

/** A request that is refused. The message is for the operator who reads the log of the directory. */
export class ScimError extends Error {
  readonly status: ScimStatus
  readonly scimType: ScimType | null
  readonly headers: Record<string, string>

  constructor(
    status: ScimStatus,
    detail: string,
    scimType: ScimType | null = null,
    headers: Record<string, string> = {},
  ) {
    super(detail)
    this.status = status
    this.scimType = scimType
    this.headers = headers
  }
}

export function methodNotAllowed(allowed: string[]): ScimError {
  return new ScimError(405, `this path has ${allowed.join(', ')}`, null, { Allow: allowed.join(', ') })
}

export function invalidValue(detail: string): ScimError {
  return new ScimError(400, detail, 'invalidValue')
}

export function invalidPath(detail: string): ScimError {
  return new ScimError(400, detail, 'invalidPath')
}

export function invalidFilter(detail: string): ScimError {
  return new ScimError(400, detail, 'invalidFilter')
}

export function invalidSyntax(detail: string): ScimError {
  return new ScimError(400, detail, 'invalidSyntax')
}
