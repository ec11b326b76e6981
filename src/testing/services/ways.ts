/** One way to get something: it succeeds, or rejects with the reason. */
export interface Way<Thing> {
  name: string
  take: () => Promise<Thing>
}

/** Tries the ways in order until one succeeds. @throws one error that lists every way and why it failed. */
export async function firstThatWorks<Thing>(wanted: string, advice: string, ways: Way<Thing>[]): Promise<Thing> {
  const reasons: string[] = []
  for (const way of ways) {
    try {
      return await way.take()
    } catch (error) {
      reasons.push(`  - ${way.name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(`There is no ${wanted} for the tests. ${advice} Tried:\n${reasons.join('\n')}`)
}
