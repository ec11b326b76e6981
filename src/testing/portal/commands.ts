import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type Finished, withoutIntroduction } from './gatehouse.ts'

const HOST = join(import.meta.dirname, 'command-host.ts')
const idle: ChildProcess[] = []

/**
 * Runs `gatehouse …` with this environment and nothing else, as gatehouse.ts does, in a process that is reused for the next
 * command: starting one takes most of the time. Not for `serve` and `worker`, nor where the process, its input or its working
 * directory are the subject.
 */
export async function runCommand(args: string[], env: Record<string, string>): Promise<Finished> {
  const host = idle.pop() ?? startHost()
  const aborted = new AbortController()
  // It keeps this process alive only while it works.
  host.ref()
  host.channel?.ref()
  host.send({ args, env })
  const answered = once(host, 'message', { signal: aborted.signal }) as Promise<[Finished]>
  const ended = once(host, 'exit', { signal: aborted.signal }).then(([code]): never => {
    throw new Error(`the process of gatehouse ${args.join(' ')} ended with ${String(code)}`)
  })
  ended.catch(() => {})
  const [finished] = await Promise.race([answered, ended])
  aborted.abort()
  host.unref()
  host.channel?.unref()
  idle.push(host)
  return { ...finished, stderr: withoutIntroduction(finished.stderr) }
}

function startHost(): ChildProcess {
  return fork(HOST, {
    // Not where a developer keeps a .env.
    cwd: import.meta.dirname,
    // The cache is in use before the host takes the environment of its first command.
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '' },
    execArgv: [],
    // The output of a command is in its result; only a crash is printed.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
}
