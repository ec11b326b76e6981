/** What is wrong with a setting of an app or an API, in words. Null for what belongs to no single setting. */
export interface Fault {
  setting: string | null
  problem: string
}

/** These problems, as those of this setting. */
export function at(setting: string | null, problems: string[]): Fault[] {
  return problems.map((problem) => ({ setting, problem }))
}

/** What is wrong with the name of an app or an API. */
export function nameFaults(name: string): string[] {
  if (name.trim() === '' || name.length > 100 || /\p{Cc}/u.test(name)) return ['a name has 1 to 100 characters']
  return isLegible(name) ? [] : [ILLEGIBLE]
}

/** What is wrong with a number of seconds; null is none. @param option its name on the command line */
export function rangeFault(
  setting: string,
  option: string,
  seconds: number | null,
  minimum: number,
  maximum: number,
): Fault[] {
  const fits = seconds === null || (Number.isInteger(seconds) && seconds >= minimum && seconds <= maximum)
  return at(setting, fits ? [] : [`${option} must be between ${minimum} and ${maximum} seconds`])
}

export const ILLEGIBLE = 'a name and a description have visible characters, and no bidirectional control characters'

/** Bidirectional controls would let one app look like another on the sign-in page, and turn the text around (UTS 36). */
export function isLegible(text: string): boolean {
  return /[^\s\p{Default_Ignorable_Code_Point}]/u.test(text) && !/\p{Bidi_Control}/u.test(text)
}
