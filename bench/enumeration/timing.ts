import type { Connection } from '../connection.ts'
import type { Question, Whom } from './questions.ts'

/** Milliseconds from the request to the complete answer. @throws Error for an unexpected answer */
export async function timeAnswer(connection: Connection, question: Question, whom: Whom): Promise<number> {
  const request = question.request(whom)
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    connection.ask(
      request,
      ({ status, head }) => {
        const ms = performance.now() - startedAt
        if (status === question.status) resolve(ms)
        else reject(new Error(`${question.name}, ${whom}: ${head.split('\r\n', 1)[0]}`))
      },
      () => reject(new Error(`${question.name}, ${whom}: the connection was lost`)),
    )
  })
}
