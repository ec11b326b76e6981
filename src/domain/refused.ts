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

/** A rule refuses what an operator asks for. The message is for the operator; it lists the faults, one a line. */
export class Refused extends Error {
  readonly code: RefusalCode

  constructor(message: string, code: RefusalCode = 'invalid') {
    super(message)
    this.code = code
  }
}
