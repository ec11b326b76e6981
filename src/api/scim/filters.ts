import { invalidFilter } from './scim-errors.ts'

// The filters that directories send (RFC 7644 §3.4.2.2): `eq`, `sw`, `pr` and `and`, with parentheses, and value paths. What an
// index cannot answer is refused: `or`, `not`, `co`, `ew`, `ne` and comparisons of size.

/** What an attribute is compared with. */
export type Literal = string | boolean | number | null

/** A condition on one attribute; in a value path, on one of its sub-attributes. */
export type Condition = { attribute: string } & (
  { operator: 'eq'; value: Literal } | { operator: 'sw'; value: string } | { operator: 'pr' }
)

/** The longest filter (characters), and the most conditions of one. */
const LONGEST = 4000
const MOST_CONDITIONS = 10

/**
 * The conditions of a filter, all of which must be true. A value path such as `emails[type eq "work" and value eq "…"]` becomes
 * conditions on `emails.type` and `emails.value`. @throws ScimError invalidFilter
 */
export function readFilter(text: string): Condition[] {
  const tokens = tokensOf(text)
  const conditions = readAll(tokens, '', 0)
  if (tokens.length > 0) throw unexpected(tokens)
  if (conditions.length > MOST_CONDITIONS) throw invalidFilter(`a filter has at most ${MOST_CONDITIONS} conditions`)
  return conditions
}

/** Writes conditions as a filter. */
export function writeFilter(conditions: Condition[]): string {
  return conditions
    .map((each) =>
      each.operator === 'pr'
        ? `${each.attribute} pr`
        : `${each.attribute} ${each.operator} ${JSON.stringify(each.value)}`,
    )
    .join(' and ')
}

/** Whether a value (or with `subAttribute` names, an object with them) meets a condition. Strings compare without case unless `caseExact`. */
export function meets(value: unknown, condition: Condition, caseExact: boolean): boolean {
  const known = value ?? null
  if (condition.operator === 'pr') return known !== null && known !== ''
  const { operator, value: wanted } = condition
  if (typeof known !== 'string' || typeof wanted !== 'string')
    // Directories write booleans as text, too.
    return operator === 'eq' && (known === wanted || (typeof known === 'boolean' && String(known) === lower(wanted)))
  const [have, want] = caseExact ? [known, wanted] : [known.toLowerCase(), wanted.toLowerCase()]
  return operator === 'eq' ? have === want : have.startsWith(want)
}

function lower(value: Literal): Literal {
  return typeof value === 'string' ? value.toLowerCase() : value
}

type Token = { kind: 'word'; text: string } | { kind: 'literal'; value: Literal } | { kind: '(' | ')' | '[' | ']' }

const LITERALS = new Map<string, Literal>([
  ['true', true],
  ['false', false],
  ['null', null],
])

/** An attribute name may be a URN with dots in its version, and have a `$` in front (RFC 7644 §3.10). */
const TOKEN = /\s*(?:([()[\]])|("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*(?=[\s\])]|$))|(\.?[$A-Za-z][\w$:.-]*))/y

function tokensOf(text: string): Token[] {
  if (text.length > LONGEST) throw invalidFilter(`a filter has at most ${LONGEST} characters`)
  const tokens: Token[] = []
  const rest = text.trimEnd()
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < rest.length) {
    const from = TOKEN.lastIndex
    const found = TOKEN.exec(rest)
    if (found === null) throw invalidFilter(`cannot be read from ${JSON.stringify(rest.slice(from, from + 40))} on`)
    const [, sign, string, number, word] = found
    if (sign !== undefined) tokens.push({ kind: sign as '(' })
    else if (string !== undefined) tokens.push({ kind: 'literal', value: jsonIn(string) })
    else if (number !== undefined) tokens.push({ kind: 'literal', value: jsonIn(number) })
    else tokens.push({ kind: 'word', text: word as string })
  }
  return tokens
}

function jsonIn(text: string): Literal {
  try {
    const value = JSON.parse(text) as Literal
    // PostgreSQL has no NUL, and UTF-8 no half of a pair.
    if (typeof value !== 'string' || (value.isWellFormed() && !value.includes('\0'))) return value
  } catch {
    // Refused below.
  }
  throw invalidFilter(`${text.slice(0, 60)} is no JSON value that an attribute can have`)
}

/** `prefix` is the attribute of the value path around it, with a dot. */
function readAll(tokens: Token[], prefix: string, depth: number): Condition[] {
  if (depth > MOST_CONDITIONS) throw invalidFilter('has too many parentheses')
  const conditions = readOne(tokens, prefix, depth)
  for (;;) {
    const [next] = tokens
    if (next?.kind !== 'word') return conditions
    if (next.text.toLowerCase() !== 'and') throw unexpected(tokens)
    tokens.shift()
    conditions.push(...readOne(tokens, prefix, depth))
  }
}

function readOne(tokens: Token[], prefix: string, depth: number): Condition[] {
  const token = tokens.shift()
  if (token?.kind === '(') {
    const inner = readAll(tokens, prefix, depth + 1)
    expect(tokens, ')')
    return inner
  }
  if (token?.kind !== 'word' || token.text.startsWith('.')) throw unexpected(token === undefined ? [] : [token])
  if (token.text.toLowerCase() === 'not') throw invalidFilter('"not" is not supported: use eq, sw, pr and "and"')
  const [next] = tokens
  if (next?.kind === '[') {
    if (prefix !== '') throw unexpected(tokens)
    tokens.shift()
    const inner = readAll(tokens, `${token.text}.`, depth + 1)
    expect(tokens, ']')
    return [...inner, ...afterValuePath(tokens, token.text)]
  }
  return [readComparison(tokens, prefix + token.text)]
}

/** `emails[type eq "work"].value eq "…"`, which Microsoft Entra ID sends. */
function afterValuePath(tokens: Token[], attribute: string): Condition[] {
  const [next] = tokens
  if (next?.kind !== 'word' || !next.text.startsWith('.')) return []
  tokens.shift()
  return [readComparison(tokens, attribute + next.text)]
}

function readComparison(tokens: Token[], attribute: string): Condition {
  const operator = tokens.shift()
  if (operator?.kind !== 'word') throw unexpected(operator === undefined ? [] : [operator])
  switch (operator.text.toLowerCase()) {
    case 'pr':
      return { attribute, operator: 'pr' }
    case 'eq':
      return { attribute, operator: 'eq', value: readLiteral(tokens) }
    case 'sw': {
      const value = readLiteral(tokens)
      if (typeof value !== 'string') throw invalidFilter('sw compares with a string')
      return { attribute, operator: 'sw', value }
    }
    default:
      throw invalidFilter(`${JSON.stringify(operator.text.slice(0, 40))} is not supported: use eq, sw, pr and "and"`)
  }
}

function readLiteral(tokens: Token[]): Literal {
  const token = tokens.shift()
  if (token?.kind === 'literal') return token.value
  const known = token?.kind === 'word' ? LITERALS.get(token.text.toLowerCase()) : undefined
  if (known === undefined) throw unexpected(token === undefined ? [] : [token])
  return known
}

function expect(tokens: Token[], kind: ')' | ']'): void {
  if (tokens.shift()?.kind !== kind) throw invalidFilter(`a ${kind} is missing`)
}

function unexpected([token]: Token[]): Error {
  if (token === undefined) return invalidFilter('it ends too early')
  const text = token.kind === 'word' ? token.text : token.kind === 'literal' ? JSON.stringify(token.value) : token.kind
  return invalidFilter(`${JSON.stringify(text.slice(0, 60))} stands in a wrong place; use eq, sw, pr and "and"`)
}
