import { clientOf, type Person } from '../subjects/subject.ts'
import { VirtualBrowser } from '../virtual-browser.ts'
import { signedInBrowser } from './families.ts'
import { BROWSER_CONCURRENCY, type Scenario } from './scenario.ts'

/** The dashboard of a user with one family. */
export const dashboard1 = dashboardOf('dashboard_1', 1, 18)
/** The dashboard of a user with a hundred families, over four apps. */
export const dashboard100 = dashboardOf('dashboard_100', 100, 19)

/** `who` is used by no other scenario, so the number of families stays what the name says. */
function dashboardOf(name: string, families: number, who: number): Scenario {
  return {
    name,
    concurrency: BROWSER_CONCURRENCY,
    hasStock: false,
    async prepare(subject, { concurrency }) {
      const person = subject.people[who] as Person
      const browser = await signedInBrowser(subject, person)
      for (let number = 0; number < families; number++)
        await clientOf(subject, subject.apps[number % subject.apps.length]).connect(browser)

      const copies = Array.from({ length: concurrency }, () => VirtualBrowser.copy(browser, subject))
      return {
        clients: (await Promise.all(copies)).map((virtual) => ({
          next: () => virtual.get('/dashboard'),
          accept(answer) {
            virtual.keep(answer)
            return answer.status === 200 && countFamilies(answer.body) === families
          },
        })),
      }
    },
  }
}

const MARK = '/revocation"'

function countFamilies(html: Buffer): number {
  let count = 0
  for (let at = html.indexOf(MARK); at !== -1; at = html.indexOf(MARK, at + 1)) count++
  return count
}
