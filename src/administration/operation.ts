// administration/: what operators do with a portal, one operation for each act.
//
// It owns the names, the inputs and the answers of the operations, in the words of JSON (snake_case), and who may perform them.
// It leaves what an operation does to the rules in `domain/`, and how it is asked for to the admin pages (`http/admin/`), the
// admin REST API (`api/`) and the commands (`commands/`), which all perform the same operations.

import { z } from 'zod'
import { type FieldProblem, linesOf, Refused } from '../domain/refused.ts'
import { noteForbidden } from '../domain/refusals.ts'
import type { Services } from '../domain/services.ts'

export { noteForbidden }

/** What an operation is about; the scopes of the admin API have these names, such as `admin:groups:read`. */
export const RESOURCES = [
  'identities',
  'invitations',
  'groups',
  'apps',
  'apis',
  'families',
  'audit-events',
  'ip-blocks',
  'notifications',
  'mails',
  'signing-keys',
  'statistics',
  'settings',
] as const

export type Resource = (typeof RESOURCES)[number]

export interface Operation<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodType = z.ZodType> {
  /** The `operationId` of the OpenAPI document. */
  name: string
  /** What it does, in one line. */
  summary: string
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** Below `/api/admin/v1`. Its parameters are fields of the input; the others are in the query of a get or delete, else in the body. */
  path: string
  resource: Resource
  /** A read changes nothing. */
  kind: 'read' | 'write'
  /** Also for the role `support`: reading, ending sessions, sending resets. Roles, keys and settings are for `admin` alone. */
  forSupport: boolean
  /** It makes operators, so a client of the admin API needs `admin:write`, and the scope of the resource is not enough. */
  makesOperators?: true
  input: Input
  /** Null for an operation that answers nothing, or a stream. */
  output: Output | null
  /** Of an operation that answers a stream of text: the media type for each `format` of its input. */
  stream?: Record<string, string>
  /** The HTTP status of success, where it is not 200, or 204 without output. */
  status?: 201 | 202
  /** @throws Refused */
  act(services: Services, input: z.output<Input>): Promise<z.output<Output> | AsyncIterable<string> | null>
}

// oxlint-disable-next-line typescript/no-explicit-any -- an operation with any input and output
export type AnyOperation = Operation<any, any>

/** What an operation answers. */
// oxlint-disable-next-line typescript/no-explicit-any -- as above
export type AnswerOf<O extends AnyOperation> = O extends Operation<any, infer Output> ? z.output<Output> : never

/** Declares an operation, with the types of its input and output. */
export function operation<Input extends z.ZodObject, Output extends z.ZodType>(
  declared: Operation<Input, Output>,
): Operation<Input, Output> {
  return declared
}

/** Who asks for an operation: a command (whose user has the database), an administrator, support, or a client of the admin API. */
export type Authority =
  { kind: 'command' } | { kind: 'role'; roles: readonly string[] } | { kind: 'scopes'; scopes: readonly string[] }

type Asked = Pick<Operation, 'resource' | 'kind' | 'makesOperators'>

/** The scopes with which a client of the admin API may perform an operation; one of them is enough. */
export function scopesFor({ resource, kind, makesOperators }: Asked): string[] {
  if (makesOperators) return ['admin:write']
  const writing = [`admin:write`, `admin:${resource}:write`]
  return kind === 'write' ? writing : ['admin:read', `admin:${resource}:read`, ...writing]
}

/** Whether this authority may perform an operation. */
export function mayPerform(authority: Authority, asked: Asked & Pick<Operation, 'forSupport'>): boolean {
  switch (authority.kind) {
    case 'command':
      return true
    case 'role':
      return authority.roles.includes('admin') || (asked.forSupport && authority.roles.includes('support'))
    case 'scopes':
      return scopesFor(asked).some((scope) => authority.scopes.includes(scope))
  }
}

/** The input does not fit. One problem for each field, by its path. */
export class InvalidInput extends Refused {
  /** @param message for people, where the problems say themselves what they are about */
  constructor(problems: FieldProblem[], message = linesOf(problems)) {
    super(message, 'invalid', problems)
  }
}

/** This authority may not perform the operation. */
export class Forbidden extends Error {}

/**
 * Performs an operation for this authority, in the name of `services.operator`. @param input as it was sent; it is checked
 * @throws Forbidden, InvalidInput, Refused
 */
export async function perform<O extends AnyOperation>(
  services: Services,
  authority: Authority,
  asked: O,
  input: Record<string, unknown>,
): Promise<AnswerOf<O>> {
  try {
    if (!mayPerform(authority, asked)) throw new Forbidden(`${asked.name} is not allowed`)
    return (await asked.act(services, readInput(asked, input))) as AnswerOf<O>
  } catch (error) {
    if (error instanceof Forbidden) await noteForbidden(services, asked.name)
    throw error
  }
}

/** The checked input of an operation. @throws InvalidInput */
export function readInput(asked: AnyOperation, input: Record<string, unknown>): Record<string, unknown> {
  const read = (asked.input as z.ZodObject).safeParse(input)
  if (!read.success)
    throw new InvalidInput(read.error.issues.map(({ path, message }) => ({ field: path.join('.'), problem: message })))
  const unfit = unstorable(read.data)
  if (unfit.length > 0) throw new InvalidInput(unfit)
  return read.data
}

/** Texts that PostgreSQL cannot store: those with U+0000, and lone surrogates. By the path of their field, at any depth. */
function unstorable(value: unknown, path: string[] = []): { field: string; problem: string }[] {
  if (typeof value === 'string')
    return value.includes('\0') || !value.isWellFormed()
      ? [{ field: path.join('.'), problem: 'contains a character that cannot be stored' }]
      : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, each]) => [
    ...unstorable(name, path),
    ...unstorable(each, [...path, name]),
  ])
}
