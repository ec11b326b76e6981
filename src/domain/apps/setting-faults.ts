/** What is wrong with the name of an app or an API. */
export function nameFaults(name: string): string[] {
  if (name.trim() === '' || name.length > 100 || /\p{Cc}/u.test(name)) return ['a name has 1 to 100 characters']
  return isLegible(name) ? [] : [ILLEGIBLE]
}

/** What is wrong with a number of seconds; null is none. */
export function rangeFault(name: string, seconds: number | null, minimum: number, maximum: number): string[] {
  const fits = seconds === null || (Number.isInteger(seconds) && seconds >= minimum && seconds <= maximum)
  return fits ? [] : [`${name} must be between ${minimum} and ${maximum} seconds`]
}

export const ILLEGIBLE = 'a name and a description have visible characters, and no bidirectional control characters'

/** Bidirectional controls would let one app look like another on the sign-in page, and turn the text around (UTS 36). */
export function isLegible(text: string): boolean {
  return /[^\s\p{Default_Ignorable_Code_Point}]/u.test(text) && !/\p{Bidi_Control}/u.test(text)
}
