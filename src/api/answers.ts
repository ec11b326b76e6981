/** An answer to a request, before it is written. */
export interface Answer {
  status: number
  headers: Record<string, string>
  /** Null for an answer without a body. */
  body: string | null
  /** A body that is made while it is sent. */
  stream?: AsyncIterable<string>
}

/** What an operation answers, as JSON. @param status of success, where the operation names none */
export function jsonAnswer(status: number, output: unknown, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(output) }
}
