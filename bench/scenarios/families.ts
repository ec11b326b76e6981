import { Browser } from '../../src/testing/browser/browser.ts'
import type { Tokens } from '../../src/testing/browser/client.ts'
import { clientOf, type Credentials, type Person, type Subject } from '../subjects/subject.ts'

/** All users but the two of the dashboards, whose families are counted. */
export function everydayPeople({ people }: Subject): Person[] {
  return people.slice(0, 16)
}

/** This many new families of one app, over sign-ins of several users. */
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

/** The user's browser, signed in at its first use: password hashing is slow on purpose. */
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

/** The last sign-in of each subject. They run one after the other, because a busy portal lets few wait for long. */
const turns = new WeakMap<Subject, Promise<unknown>>()
