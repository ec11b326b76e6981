import { runCommandLine } from '../../commands/command-line.ts'

// Carries out one command line after the other, each as a fresh process would: see `runCommand`.
process.on('message', (command: { args: string[]; env: Record<string, string> }) => void carryOut(command))
process.once('disconnect', () => process.exit())

async function carryOut({ args, env }: { args: string[]; env: Record<string, string> }): Promise<void> {
  for (const name of Object.keys(process.env)) if (name !== 'PATH') delete process.env[name]
  Object.assign(process.env, env)
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].removeAllListeners('error')
    process[name].write = (chunk: string | Uint8Array) => {
      output[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
      return true
    }
  }
  const code = await runCommandLine([process.execPath, 'gatehouse', ...args])
  process.send?.({ code, ...output })
}
