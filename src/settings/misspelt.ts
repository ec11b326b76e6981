import { closest, distance } from 'fastest-levenshtein'
import { allNames } from './names.ts'

/** Names in an environment that are none of ours but resemble one, such as SMTP_URI, each with the name that was meant. */
export function findMisspelt(env: NodeJS.ProcessEnv = process.env): [given: string, meant: string][] {
  const ours = allNames()
  const long = [...ours.keys()].filter((name) => name.length >= SHORTEST_MISSPELT)
  return Object.keys(env).flatMap((given): [string, string][] => {
    if (ours.has(given) || given.length < SHORTEST_MISSPELT) return []
    const name = given.toUpperCase().replace(/^GATEHOUSE_(?=.{4})/, '')
    const resembled = closest(name, long)
    return distance(name, resembled) <= MISSPELT_LETTERS ? [[given, ours.get(resembled) as string]] : []
  })
}

/** Shorter names than this resemble too much: HOME is not HOST. */
const SHORTEST_MISSPELT = 6
const MISSPELT_LETTERS = 2
