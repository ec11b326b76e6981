/** A JSON object in a file, with the line that it begins in, or why what is there is none. */
export type JsonRecord = { line: number } & ({ value: Record<string, unknown> } | { problem: string })

/** The longest object (bytes). */
const LONGEST = 1024 * 1024

/**
 * The objects in a JSON file, as they are read: the file is scanned for where each begins and ends, and no more than one is held,
 * however large the file is. They are the elements of an array at the top, or stand one after another, such as one a line. With
 * `member` an object at the top is no record; the elements of its array of this name are.
 */
export async function* readJsonRecords(
  file: AsyncIterable<Buffer>,
  member: string | null,
): AsyncGenerator<JsonRecord, void> {
  const scanner = new Scanner(member)
  for await (const chunk of file) yield* scanner.scan(chunk)
  yield* scanner.end()
}

const [QUOTE, BACKSLASH, COMMA, COLON, NEWLINE] = [0x22, 0x5c, 0x2c, 0x3a, 0x0a]
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d]

/** What the scanner is inside of; a record is counted by its depth alone. */
type Place = 'top' | 'top-array' | 'top-object' | 'records'

class Scanner {
  readonly #member: string | null
  #place: Place = 'top'
  #line = 1
  /** How many brackets are open below the place. */
  #depth = 0
  #isInString = false
  #isEscaped = false
  /** The bytes of the record so far; null outside of one. */
  #held: Buffer[] | null = null
  #size = 0
  #firstLine = 1
  /** The string that was read last in the object at the top, while it may be the name of a member. */
  #name = ''
  #isName = false
  /** Whether something that is no object was reported where objects are. */
  #isJunk = false
  #isBroken = false

  constructor(member: string | null) {
    this.#member = member
  }

  *scan(chunk: Buffer): Generator<JsonRecord> {
    let at = 0
    while (at < chunk.length && !this.#isBroken) {
      if (this.#held === null) {
        yield* this.#scanOutside(chunk[at] as number)
        // The bracket that began a record is its first byte.
        if (this.#held === null) at++
      } else {
        const end = this.#scanRecord(chunk, at)
        this.#hold(chunk.subarray(at, end))
        at = end
        if (this.#depth === 0) yield this.#take()
      }
    }
  }

  /** Where the record ends in this chunk, or the chunk ends in the record. */
  #scanRecord(chunk: Buffer, from: number): number {
    let [depth, line, isInString, isEscaped] = [this.#depth, this.#line, this.#isInString, this.#isEscaped]
    let at = from
    for (let isInside = true; isInside && at < chunk.length; at++) {
      const byte = chunk[at]
      if (byte === NEWLINE) line++
      if (isEscaped) isEscaped = false
      else if (isInString) {
        if (byte === QUOTE) isInString = false
        else if (byte === BACKSLASH) isEscaped = true
      } else if (byte === QUOTE) isInString = true
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) isInside = --depth > 0
    }
    this.#depth = depth
    this.#line = line
    this.#isInString = isInString
    this.#isEscaped = isEscaped
    return at
  }

  *#scanOutside(byte: number): Generator<JsonRecord> {
    if (byte === NEWLINE) this.#line++
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (byte === BACKSLASH) this.#isEscaped = true
      else if (byte === QUOTE) this.#isInString = false
      else if (this.#isName && this.#name.length < 100) this.#name += String.fromCharCode(byte)
    } else if (byte === QUOTE) {
      this.#isInString = true
      this.#isName = this.#place === 'top-object' && this.#depth === 0
      if (this.#isName) this.#name = ''
      if (this.#isRecordPlace()) yield* this.#junk()
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (this.#depth > 0) this.#depth++
      else if (byte === OPEN_OBJECT && this.#isRecordPlace() && !this.#isWrapper()) {
        this.#held = []
        this.#size = 0
        this.#firstLine = this.#line
        this.#isJunk = false
      } else yield* this.#enter(byte)
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (this.#depth > 0) this.#depth--
      else yield* this.#leave(byte)
    } else if (byte === COMMA) this.#isJunk = false
    else if (byte !== COLON && byte > 0x20 && this.#isRecordPlace() && !isByteOrderMark(byte)) yield* this.#junk()
  }

  *end(): Generator<JsonRecord> {
    if (!this.#isBroken && (this.#held !== null || this.#place !== 'top'))
      yield { line: this.#line, problem: 'ends in the middle; the file was cut off' }
  }

  #isRecordPlace(): boolean {
    return this.#depth === 0 && this.#place !== 'top-object'
  }

  #isWrapper(): boolean {
    return this.#place === 'top' && this.#member !== null
  }

  *#enter(byte: number): Generator<JsonRecord> {
    if (this.#place === 'top') this.#place = byte === OPEN_ARRAY ? 'top-array' : 'top-object'
    else if (this.#place === 'top-object' && byte === OPEN_ARRAY && this.#name === this.#member) this.#place = 'records'
    else {
      if (this.#place !== 'top-object') yield* this.#junk()
      this.#depth++
    }
  }

  *#leave(byte: number): Generator<JsonRecord> {
    const closes = { top: 0, 'top-array': CLOSE_ARRAY, 'top-object': CLOSE_OBJECT, records: CLOSE_ARRAY }[this.#place]
    if (byte !== closes) {
      this.#isBroken = true
      yield { line: this.#line, problem: 'is no JSON; the rest of the file is not read' }
    }
    this.#place = this.#place === 'records' ? 'top-object' : 'top'
  }

  *#junk(): Generator<JsonRecord> {
    if (this.#isJunk) return
    this.#isJunk = true
    yield { line: this.#line, problem: 'is not a JSON object' }
  }

  #hold(part: Buffer): void {
    this.#size += part.length
    if (this.#size <= LONGEST) this.#held?.push(part)
    else this.#held = []
  }

  #take(): JsonRecord {
    const bytes = Buffer.concat(this.#held as Buffer[])
    this.#held = null
    const line = this.#firstLine
    if (this.#size > LONGEST) return { line, problem: `is longer than ${LONGEST} bytes` }
    try {
      const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>
      return { line, value }
    } catch (error) {
      return { line, problem: error instanceof SyntaxError ? 'is not a JSON object' : 'is not UTF-8' }
    }
  }
}

function isByteOrderMark(byte: number): boolean {
  return byte === 0xef || byte === 0xbb || byte === 0xbf
}
