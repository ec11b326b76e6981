import { delimiter, join } from 'node:path'
import { allNames } from '../src/settings/names.ts'
import { run } from '../src/testing/services/command.ts'

export const ROOT = join(import.meta.dirname, '..')
/** What one run leaves for the next to be faster; git ignores it. */
export const CACHE = join(ROOT, 'node_modules/.cache/gatehouse')

export interface ToolOptions {
  env?: Record<string, string>
  limit?: number
  onMessage?: (message: unknown) => void
}

/**
 * Runs a tool of node_modules, or a script of the repository with Node.js, from the repository root; its output is inherited.
 * @throws Error unless it ends with 0 within the limit.
 */
export async function runTool(program: string, args: string[], options: ToolOptions = {}): Promise<void> {
  const { env = {}, limit = 180_000, onMessage } = options
  await run(program === 'node' ? process.execPath : join(ROOT, 'node_modules/.bin', program), args, {
    cwd: ROOT,
    env: { ...toolEnvironment(), ...env },
    stdio: onMessage === undefined ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'inherit', 'inherit', 'ipc'],
    limit,
    ...(onMessage === undefined ? {} : { onMessage }),
  })
}

/**
 * The environment around us without the settings of the portal, and with this very Node first. A test says which settings its
 * portal has; the shell of a developer must not decide.
 */
export function toolEnvironment(outer: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const hidden = new Set([...allNames().keys(), 'NODE_TEST_CONTEXT'])
  const env = Object.fromEntries(Object.entries(outer).filter(([name]) => !hidden.has(name)))
  const programs = [join(ROOT, 'node_modules/.bin'), join(process.execPath, '..'), outer['PATH'] ?? '']
  return { ...env, PATH: programs.join(delimiter) }
}
