import type { Command } from 'commander'
import { type AnswerOf, type AnyOperation, perform } from '../administration/operation.ts'
import type { Services } from '../domain/services.ts'
import { operate } from './output.ts'
import { RemotePortal } from './remote-portal.ts'
import { readRemoteSettings, sayRemote } from './remote-settings.ts'

/** The portal that a command administers. */
export interface Portal {
  /** The issuer. */
  publicUrl: string
  /** The rules and stores of the portal of this machine; null for one elsewhere. */
  local: Services | null
  /** @throws Refused */
  perform<O extends AnyOperation>(asked: O, input: Record<string, unknown>): Promise<AnswerOf<O>>
}

/** Adds `--json`, and runs `act` on the portal: beside it, or through its admin API where GATEHOUSE_URL is set. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it carries the types of what the act is given
export function withPortal<A extends unknown[]>(
  command: Command,
  act: (portal: Portal, ...args: A) => Promise<void>,
): Command {
  return command.option('--json', 'print JSON and nothing else').action(async (...args: unknown[]) => {
    // Commander passes the arguments, the options and the command itself, which no act needs.
    const given = args.slice(0, -1) as A
    const remote = readRemoteSettings()
    if (remote !== null) {
      sayRemote(remote)
      return act(new RemotePortal(remote), ...given)
    }
    await operate(async (services) => {
      const { publicUrl } = services
      const local: Portal = {
        publicUrl,
        local: services,
        perform: async (asked, input) => perform(services, { kind: 'command' }, asked, input),
      }
      await act(local, ...given)
    })
  })
}

/** Every item of a list, page by page; `most` at most. */
export async function listAll(
  portal: Portal,
  asked: AnyOperation,
  input: Record<string, unknown> = {},
  most = Infinity,
): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = []
  for await (const items of pagesOf(portal, asked, input, most)) all.push(...items)
  return all
}

/** The items of a list, a page at a time. */
export async function* pagesOf(
  portal: Portal,
  asked: AnyOperation,
  input: Record<string, unknown>,
  most = Infinity,
): AsyncGenerator<Record<string, unknown>[]> {
  let left = most
  let cursor: string | null | undefined
  do {
    const answer = (await portal.perform(asked, {
      ...input,
      limit: Math.min(left, 200),
      ...(cursor === undefined ? {} : { cursor }),
    })) as { items: Record<string, unknown>[]; next_cursor: string | null }
    yield answer.items
    left -= answer.items.length
    cursor = answer.next_cursor
  } while (cursor !== null && left > 0)
}
