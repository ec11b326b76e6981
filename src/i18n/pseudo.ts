/** The pseudo-locale: English with accents and half as long again, to see texts that are not in a catalogue or do not fit. */
export const PSEUDO = 'en-XA'

const ACCENTS: Record<string, string> = {
  a: 'á',
  c: 'ç',
  e: 'é',
  i: 'î',
  n: 'ñ',
  o: 'ö',
  s: 'š',
  u: 'û',
  y: 'ý',
  A: 'Å',
  C: 'Ç',
  E: 'É',
  I: 'Î',
  N: 'Ñ',
  O: 'Ø',
  S: 'Š',
  U: 'Û',
}

/** The text with accents, between brackets, and about 40 % longer. */
export function pseudo(text: string): string {
  if (text.trim() === '') return text
  const accented = Array.from(text, (letter) => ACCENTS[letter] ?? letter).join('')
  const more = 'one two three four five six seven eight nine ten'.slice(0, Math.ceil(text.length * 0.4))
  return `[${accented} ${more}]`
}
