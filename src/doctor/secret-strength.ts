/** A secret of fewer bits looks as if it was made by a person. 16 random bytes have 128. */
export const ENOUGH_BITS = 108

/** Words of examples and keyboards, which random text does not contain. */
const KNOWN = /secret|passwor|passphrase|gatehouse|change.?(?:me|this|it)|example|production|insecure|qwerty/i
const BITS_OF_KNOWN = 40

/**
 * How many bits a guesser of words, repetitions and sequences needs for this secret, roughly. It is generous to random text of
 * any alphabet, and strict with text that people type.
 */
export function bitsOf(secret: string): number {
  const once = withoutRepetition(secret)
  const bits = isTyped(once) ? bitsOfWords(once) : once.length * bitsOfLetter(once)
  return KNOWN.test(secret) ? Math.min(bits, BITS_OF_KNOWN) : bits
}

/** Whether it has spaces, or is nearly all words with something between. Of random base64 a tenth looks like words. */
function isTyped(text: string): boolean {
  if (/\s/.test(text)) return true
  const words = (text.match(/[A-Z]?[a-z]{4,}|[A-Z]{5,}|[._-]/g) ?? []).filter(({ length }) => length <= 20)
  return !isHex(text) && words.join('').length > text.length * 0.7
}

/** One of a few thousand words is 11 bits, a long one two of them; a separator is nearly none. */
function bitsOfWords(text: string): number {
  let bits = 0
  for (const [piece] of text.matchAll(/[A-Z]?[a-z]{2,}|[A-Z]{3,}|[^]/g)) {
    if (piece.length > 2) bits += piece.length > 10 ? 22 : 11
    else bits += /[a-z\d]/i.test(piece) ? 4 : 1
  }
  return bits
}

function bitsOfLetter(text: string): number {
  if (isHex(text)) return 4
  return /^\d+$/.test(text) ? 3.3 : /^[a-z]+$/.test(text) ? 4.7 : 5.5
}

function isHex(text: string): boolean {
  return /^[\da-f-]+$/i.test(text)
}

/** Without what comes again, such as the second half of `abcdabcd`, and without sequences of characters, such as `3456`. */
function withoutRepetition(secret: string): string {
  let kept = ''
  for (let at = 0; at < secret.length; at++) {
    const isRepeated = at >= 5 && secret.indexOf(secret.slice(at - 4, at + 1)) < at - 4
    const step = secret.charCodeAt(at) - secret.charCodeAt(at - 1)
    const isNext = at >= 2 && Math.abs(step) <= 1 && step === secret.charCodeAt(at - 1) - secret.charCodeAt(at - 2)
    if (!isRepeated && !isNext) kept += secret[at]
  }
  return kept
}
