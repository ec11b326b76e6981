/** A test of the back-channel logout (`logout`), or of the event receiver (`event`). */
export type TestKind = 'logout' | 'event'

/** What an app answered to a test. */
export interface TestAnswer {
  outcome: 'accepted' | 'refused' | 'unreachable'
  /** The HTTP status; null without an answer. */
  status: number | null
  /** Without secrets, as a part of a sentence about the app; null when it accepted. */
  problem: string | null
  milliseconds: number
}
