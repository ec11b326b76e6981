import type { Setting } from './setting.ts'
import { SETTINGS, type SettingName } from './settings.ts'

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]

/** The name of a setting and its older ones, those that hold the value and, for a secret, those that hold the path of a file. */
export function namesOf(name: SettingName): { ofValue: string[]; ofFile: string[] } {
  const { aliases = [], isSecret }: Setting = SETTINGS[name]
  const ofValue = [name, ...aliases]
  return { ofValue, ofFile: isSecret === true ? ofValue.map((each) => `${each}_FILE`) : [] }
}

/** Every name of ours that an environment can have, with the name to use in its place. */
export function allNames(): Map<string, string> {
  return new Map(
    SETTING_NAMES.flatMap((name) => {
      const { ofValue, ofFile } = namesOf(name)
      return [...ofValue.map((each) => [each, name] as const), ...ofFile.map((each) => [each, `${name}_FILE`] as const)]
    }),
  )
}
