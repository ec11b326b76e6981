/**
 * Sends `times` requests in a row on each of several connections at once, and counts the responses by status. @throws for a
 * request without a response
 */
export async function flood(
  connections: number,
  times: number,
  send: (connection: number, turn: number) => Promise<Response>,
): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  const connect = async (connection: number) => {
    for (let turn = 0; turn < times; turn++) {
      const response = await send(connection, turn)
      await response.arrayBuffer()
      counts[response.status] = (counts[response.status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: connections }, async (_, connection) => connect(connection)))
  return counts
}
