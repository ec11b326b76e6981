/** What came of asking an app. `problem` is in words, without anything secret. */
export type BackChannelOutcome =
  | { kind: 'accepted' }
  /** The app answered, and not with what the specification calls success. */
  | { kind: 'refused'; status: number; problem: string }
  /** Nobody answered, or only to say that now is not the time (429, 503). */
  | { kind: 'unreachable'; problem: string }

/** The way from the portal to addresses that apps gave. */
export interface BackChannel {
  /** @param accepted statuses that mean success */
  post(uri: string, body: { contentType: string; text: string }, accepted: number[]): Promise<BackChannelOutcome>
  close(): void
}
