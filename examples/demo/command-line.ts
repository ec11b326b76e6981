import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { scriptPath } from './children.ts'

/** Runs a command of the portal's command line, and returns its output. Secrets are passed in `input`: arguments are public. */
export async function gatehouse(words: string[], env: NodeJS.ProcessEnv, input = ''): Promise<unknown> {
  const command = spawn(process.execPath, [scriptPath('src/gatehouse.ts'), ...words, '--json'], { env })
  command.stdin.on('error', () => {}) // It may end without having read everything.
  command.stdin.end(input)
  const [answer, complaint, [code]] = await Promise.all([
    text(command.stdout),
    text(command.stderr),
    once(command, 'exit'),
  ])

  if (code !== 0) throw new Error(`\`gatehouse ${words.slice(0, 3).join(' ')}\` failed: ${complaint || answer}`.trim())
  return JSON.parse(answer)
}
