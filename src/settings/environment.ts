import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { namesOf, SETTING_NAMES } from './names.ts'
import type { Setting } from './setting.ts'
import { SETTINGS, type SettingName } from './settings.ts'

/** What each setting is; null where it is not set and has no default. */
export type Values = { readonly [N in SettingName]: ValueOf<(typeof SETTINGS)[N]> }

type ValueOf<S extends Setting> = S['default'] extends string
  ? z.output<S['type']['schema']>
  : z.output<S['type']['schema']> | null

/** The texts that were found, under the current names. */
export type Given = Partial<Record<SettingName, string>>

export interface Environment {
  given: Given
  /** Whole only where `faults` is empty. */
  values: Values
  /** One sentence for each thing that is wrong, without any value. */
  faults: string[]
}

/** Reads every setting of the table. */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const given: Given = {}
  const values: Partial<Record<SettingName, unknown>> = {}
  const faults: string[] = []
  for (const name of SETTING_NAMES) {
    const found = find(name, env)
    const { type, default: preset }: Setting = SETTINGS[name]
    if (found.kind === 'wrong') {
      faults.push(found.fault)
      continue
    }
    if (found.kind === 'found') given[name] = found.value
    const text = found.kind === 'found' ? found.value : preset
    if (text === null) {
      values[name] = null
      continue
    }
    const read = type.schema.safeParse(text)
    if (read.success) values[name] = read.data
    else {
      const source = found.kind === 'found' ? sourceInWords(name, found.as) : ''
      faults.push(...read.error.issues.map(({ message }) => `${name}: ${message}${source}`))
    }
  }
  return { given, values: values as Values, faults }
}

/** Where a wrong value came from, unless it was the variable that the message names anyway. */
function sourceInWords(name: SettingName, as: string): string {
  if (as === name) return ''
  return as === `${name}_FILE` ? ` (read from the file that ${as} names)` : ` (set by its older name, ${as})`
}

type Found = { kind: 'unset' } | { kind: 'found'; value: string; as: string } | { kind: 'wrong'; fault: string }

/** One setting, by whichever of its names it is set. */
function find(name: SettingName, env: NodeJS.ProcessEnv): Found {
  const { ofValue, ofFile } = namesOf(name)
  const [asValue, ...otherValues] = ofValue.filter((each) => isSet(env[each]))
  const [asFile, otherFile] = ofFile.filter((each) => isSet(env[each]))

  const second = asValue === undefined ? otherFile : asFile
  const first = asValue ?? asFile
  if (first === undefined) return { kind: 'unset' }
  if (second !== undefined) return { kind: 'wrong', fault: `${name}: is set twice, as ${first} and as ${second}` }

  if (asValue === undefined) {
    const value = readSecretFile(env[first] as string)
    return value === null
      ? { kind: 'wrong', fault: `${first}: the file cannot be read` }
      : { kind: 'found', value, as: first }
  }
  const value = env[asValue] as string
  const different = otherValues.find((each) => env[each] !== value)
  if (different !== undefined)
    return {
      kind: 'wrong',
      fault: `${name}: is set to another value as ${different}, an older name of the same setting; remove ${different}`,
    }
  return { kind: 'found', value, as: asValue }
}

/** An empty variable is one that is not set. */
export function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== ''
}

function readSecretFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}
