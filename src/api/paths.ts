import type { AnyOperation } from '../administration/operation.ts'
import { Problem } from './problems.ts'

/** The operations at one path, by method, and the values of its parameters. */
export interface Found {
  /** As it is declared, such as `/apps/{client_id}`. */
  path: string
  operations: Map<string, AnyOperation>
  parameters: Record<string, string>
}

/** Finds the operations at a path below the admin API; a fixed part wins over a parameter. */
export class Paths {
  readonly #paths: { path: string; parts: string[]; operations: Map<string, AnyOperation> }[]

  constructor(operations: AnyOperation[]) {
    this.#paths = [...Map.groupBy(operations, ({ path }) => path)]
      .map(([path, those]) => ({
        path,
        parts: partsOf(path),
        operations: new Map(those.map((each) => [each.method.toUpperCase(), each])),
      }))
      .toSorted((one, other) => countParameters(one.parts) - countParameters(other.parts))
  }

  /** Null when there is no such path. @throws Problem for a parameter that is not percent-encoded UTF-8 */
  find(path: string): Found | null {
    const asked = partsOf(path)
    const found = this.#paths.find(
      ({ parts }) =>
        parts.length === asked.length &&
        parts.every((part, at) => (isParameter(part) ? asked[at] : asked[at] === part)),
    )
    if (found === undefined) return null
    const parameters = found.parts.flatMap((part, at) =>
      isParameter(part) ? [[part.slice(1, -1), decode(asked[at] as string)] as const] : [],
    )
    return { path: found.path, operations: found.operations, parameters: Object.fromEntries(parameters) }
  }

  /** The operation that is declared at exactly this path, parameters and all. */
  operationAt(path: string, method: string): AnyOperation | null {
    return this.#paths.find((each) => each.path === path)?.operations.get(method) ?? null
  }
}

function partsOf(path: string): string[] {
  return path.split('/').slice(1)
}

function isParameter(part: string): boolean {
  return part.startsWith('{')
}

function countParameters(parts: string[]): number {
  return parts.filter(isParameter).length
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new Problem('malformed', 'the path is not percent-encoded UTF-8')
  }
}
