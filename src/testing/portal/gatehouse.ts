import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { stopBeforeExit } from '../services/shutdown.ts'

const PROGRAM = join(import.meta.dirname, '../../gatehouse.ts')

export interface Finished {
  code: number | null
  stdout: string
  /** Without the line that names the portal it works on. */
  stderr: string
}

/** Runs `gatehouse …` as an operator does: a process of its own, with this environment and nothing else. */
export async function gatehouse(
  args: string[],
  env: Record<string, string>,
  input: string | Buffer = '',
  cwd?: string,
): Promise<Finished> {
  return startGatehouse(args, env, input, cwd).finished
}

export interface Running {
  child: ChildProcess
  finished: Promise<Finished>
  /** Its standard output so far. */
  printed(): string
  /** Its standard error so far. */
  complained(): string
  /** Waits until it has printed this. */
  says(words: string): Promise<void>
  /** Ends it, whatever its state. */
  kill(): Promise<void>
}

export function startGatehouse(
  args: string[],
  env: Record<string, string>,
  input: string | Buffer = '',
  cwd = import.meta.dirname,
): Running {
  return startProgram(process.execPath, [PROGRAM, ...args], env, input, cwd)
}

/** The same on a terminal of its own (script of util-linux), where all output is standard output, and Ctrl-C ends it. */
export function startOnTerminal(args: string[], env: Record<string, string>): Running {
  const command = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ')
  return startProgram(
    'script',
    ['--quiet', '--return', '--flush', '--command', `exec ${command}`, '/dev/null'],
    env,
    null,
  )
}

/** Another program that runs the portal. @param input on its standard input; null leaves that open */
export function startProgram(
  program: string,
  args: string[],
  env: Record<string, string>,
  input: string | Buffer | null,
  cwd = import.meta.dirname,
): Running {
  const child = spawn(program, args, {
    // Not where a developer keeps a .env.
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  child.stdin.on('error', () => {})
  if (input !== null) child.stdin.end(input)
  const finished = once(child, 'close').then(([code]) => {
    return { code: code as number | null, ...output, stderr: withoutIntroduction(output.stderr) }
  })

  const kill = stopBeforeExit(async () => {
    child.kill('SIGKILL')
    await finished
  })
  return {
    child,
    finished,
    printed: () => output.stdout,
    complained: () => output.stderr,
    kill,
    async says(words) {
      while (!output.stdout.includes(words)) {
        if (!child.stdout.readable)
          throw new Error(`it ended without saying ${words}: ${output.stderr || output.stdout}`)
        await Promise.race([finished, once(child.stdout, 'data')])
      }
    },
  }
}

/** Standard error, without the line that names the portal a command works on. */
export function withoutIntroduction(stderr: string): string {
  return stderr.replace(/^gatehouse: .+, issuer .+\n/m, '')
}

/** The output of a command with `--json`. */
export function printed<T = Record<string, unknown>>({ code, stdout, stderr }: Finished): T {
  if (code !== 0) throw new Error(`it ended with ${code}: ${stderr}`)
  return JSON.parse(stdout) as T
}
