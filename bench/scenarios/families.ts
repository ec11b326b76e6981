import { Browser } from '../../src/testing/browser/browser.ts'
import type { Tokens } from '../../src/testing/browser/client.ts'
import { clientOf, type Credentials, type Person, type Subject } from '../subjects/subject.ts'

/** Everybody but the two of the dashboards, whose families are counted. */
export function everydayPeople({ people }: Subject): Person[] {
  return people.slice(0, 16)
}

/** So many new families of one app, over sign-ins of several people. */
export async function connectApp(subject: Subject, app: Credentials, count: number): Promise<Tokens[]> {
  const browsers = await Promise.all(everydayPeople(subject).map((person) => signedInBrowser(subject, person)))
  const perBrowser = await Promise.all(
    browsers.map(async (browser, index) => {
      const tokens: Tokens[] = []
      for (let number = index; number < count; number += browsers.length)
        tokens.push(await clientOf(subject, app).connect(browser))
      return tokens
    }),
  )
  return perBrowser.flat()
}

const signedIn = new WeakMap<Subject, Map<Person, Promise<Browser>>>()

/** The browser of this person, signed in the first time somebody asks: passwords are slow on purpose. */
export function signedInBrowser(subject: Subject, person: Person): Promise<Browser> {
  const browsers = signedIn.get(subject) ?? new Map<Person, Promise<Browser>>()
  signedIn.set(subject, browsers)
  const known = browsers.get(person)
  if (known !== undefined) return known

  const browser = new Browser(subject.origin)
  const before = turns.get(subject) ?? Promise.resolve()
  const signing = before.then(() => subject.signIn(browser, person)).then(() => browser)
  turns.set(subject, signing)
  browsers.set(person, signing)
  return signing
}

/** The last sign-in of each subject, after which the next one begins: a busy portal does not let many wait for long. */
const turns = new WeakMap<Subject, Promise<unknown>>()
