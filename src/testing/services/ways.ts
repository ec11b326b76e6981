/** One way to come by something: it succeeds, or rejects with the reason why it cannot. */
export interface Way<Thing> {
  name: string
  take: () => Promise<Thing>
}

/**
 * Takes the ways in order until one succeeds.
 * @throws one error that names every way and why it failed.
 */
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
