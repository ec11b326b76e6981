import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { ValueType } from './setting.ts'

const ATTRIBUTE = /^[A-Za-z][A-Za-z0-9-]{0,99}$/
const PLACEHOLDER = '{login}'

/** The name of an attribute of a directory (RFC 4512 §1.4). */
export function attributeName(): ValueType<string> {
  const words = 'the name of an attribute'
  return { schema: z.string().regex(ATTRIBUTE, `must be ${words}`), words }
}

/** A filter (RFC 4515) that compares with what the user entered. */
export function userFilter(): ValueType<string> {
  return {
    schema: z
      .string()
      .refine(isUserFilter, `must be an LDAP filter with ${PLACEHOLDER} behind an =, as in (uid=${PLACEHOLDER})`),
    words: `an LDAP filter with \`${PLACEHOLDER}\` in it`,
  }
}

/**
 * Each comparison with the placeholder is one that a `*` in its place makes true for every value: this is how the portal asks for
 * users by their id. `uid:caseExactMatch:={login}` and `uid~={login}` are none.
 */
function isUserFilter(value: string): boolean {
  const comparisons = value.split(PLACEHOLDER).slice(0, -1)
  const isBalanced = [...value].reduce(
    (depth, letter) => (depth < 0 ? depth : depth + (letter === '(' ? 1 : letter === ')' ? -1 : 0)),
    0,
  )
  return (
    /^\(.*\)$/.test(value) &&
    isBalanced === 0 &&
    comparisons.length > 0 &&
    comparisons.every((before) => /[\w-]=[^()=]*$/.test(before))
  )
}

/** From names of the portal to attributes, as in `email=mail, nickname=cn`. */
export function attributeMapping(): ValueType<Record<string, string>> {
  return {
    schema: z
      .string()
      .transform((value) => value.split(',').map((pair) => pair.split('=').map((part) => part.trim())))
      .refine(
        (pairs) =>
          pairs.every(
            ([name = '', attribute = '', ...more]) =>
              /^[a-z_]{1,40}$/.test(name) && ATTRIBUTE.test(attribute) && more.length === 0,
          ),
        'must be pairs like email=mail, with commas between',
      )
      .transform((pairs) => Object.fromEntries(pairs) as Record<string, string>),
    words: 'pairs like `email=mail`, with commas between',
  }
}

/** Roles and the DNs of groups. Semicolons stand between, because a DN has commas. */
export function roleGroups(): ValueType<{ role: string; group: string }[]> {
  return {
    schema: z
      .string()
      .transform((value) =>
        value
          .split(/(?<!\\);/)
          .map((pair) => /^\s*(?<role>[^=\s]+?)\s*=\s*(?<group>\S.*?)\s*$/.exec(pair)?.groups)
          .map((pair) => ({ role: pair?.['role'] ?? '', group: pair?.['group'] ?? '' })),
      )
      .refine(
        (pairs) => pairs.every(({ role, group }) => role !== '' && /^[A-Za-z0-9.-]+\s*=.+/.test(group)),
        'must be pairs like admin=cn=admins,dc=example,dc=com, with semicolons between',
      ),
    words: 'pairs of a role and the DN of a group, with semicolons between',
  }
}

/** Reads certificates of authorities. @throws Error whose message is what is wrong with the file */
export function readAuthorities(path: string): string {
  const text = readText(path)
  if (!isCertificate(text)) throw new Error('the file has no certificate in PEM')
  return text
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error('the file cannot be read', { cause: error })
  }
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).raw.length > 0
  } catch {
    return false
  }
}
