import { once } from 'node:events'
import { userInfo } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Config } from '../config.ts'
import { closeServices, openServices } from '../main/services.ts'
import type { Services } from '../domain/services.ts'
import { createLogger } from '../logger.ts'
import { OPERATOR_TIMEOUT_MS } from '../storage/postgres.ts'
import { CommandRefused } from './command-refused.ts'
import { readRemoteSettings } from './remote-settings.ts'
import { readStartedConfig, sayPortal } from './started-portal.ts'

/**
 * Adds `--json`, and runs `act` on the portal's rules and stores, beside a portal that may be running. It works nowhere else.
 * `read` finds the configuration.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it carries the types of what the act is given
export function onPortal<A extends unknown[]>(
  command: Command,
  act: (services: Services, ...args: A) => Promise<void>,
  read?: () => Promise<Config>,
): Command {
  return command.option('--json', 'print JSON and nothing else').action(async (...args: unknown[]) => {
    if (readRemoteSettings() !== null)
      throw new CommandRefused('this command works where the portal runs; GATEHOUSE_URL must not be set')
    // Commander passes the arguments, the options and the command itself, which no act needs.
    await operate(async (services) => act(services, ...(args.slice(0, -1) as A)), read)
  })
}

/** Runs `act` on the rules and stores of the portal of this machine, in the operator's name. `read` finds its configuration. */
export async function operate(
  act: (services: Services) => Promise<void>,
  read: () => Promise<Config> = readStartedConfig,
): Promise<void> {
  // Results go to standard output, so the log of the stores must not.
  const config = await read()
  sayPortal(config)
  const services = await openServices(config, createLogger('silent'), undefined, OPERATOR_TIMEOUT_MS)
  try {
    await act({ ...services, operator: { name: operatorName(), id: null, address: null } })
  } finally {
    await closeServices(services)
  }
}

/** The operator's name for the audit log. In a container the user may only have a number. */
function operatorName(): string {
  try {
    return userInfo().username
  } catch {
    return 'operator'
  }
}

/** Says something beside the answer, on standard error. */
export function note(text: string): void {
  process.stderr.write(`gatehouse: ${text}\n`)
}

/** Prints one object: as JSON, or as one line for each field. */
export function print(thing: Record<string, unknown>, json: boolean | undefined): void {
  if (json) return write(JSON.stringify(thing))
  const width = Math.max(...Object.keys(thing).map((name) => name.length))
  for (const [name, value] of Object.entries(thing)) write(`${name.padEnd(width)}  ${inWords(value)}`)
}

/** These fields of an answer, in this order. */
export function pick(thing: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, thing[name]]))
}

/** Prints a list: as a JSON array, or as a table of the named columns. */
export function printList(things: Record<string, unknown>[], columns: string[], json: boolean | undefined): void {
  if (json) return write(JSON.stringify(things))
  if (things.length === 0) return write('none')
  const rows = [columns, ...things.map((thing) => columns.map((column) => inWords(thing[column])))]
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => (row[index] as string).length)))
  for (const row of rows)
    write(
      row
        .map((cell, index) => cell.padEnd(widths[index] as number))
        .join('  ')
        .trimEnd(),
    )
}

/**
 * Prints pieces of text as they come, no faster than they are read. It ends quietly once the reader has closed the pipe (EPIPE), as
 * in `gatehouse user export | head`, and closes what they come from.
 */
export async function printLines(pieces: AsyncIterable<string>): Promise<void> {
  const closed = new AbortController()
  const onError = () => closed.abort()
  process.stdout.on('error', onError)
  try {
    for await (const piece of pieces) {
      const isTaken = process.stdout.write(piece)
      // Only then is it known whether the pipe is open.
      await setImmediate()
      if (!isTaken && !closed.signal.aborted)
        await once(process.stdout, 'drain', { signal: closed.signal }).catch(() => closed.abort())
      if (closed.signal.aborted) return
    }
  } finally {
    process.stdout.off('error', onError)
  }
}

function write(line: string): void {
  process.stdout.write(`${line}\n`)
}

function inWords(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.join(' ') || '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
