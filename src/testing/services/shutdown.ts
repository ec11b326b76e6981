import { constants } from 'node:os'

type Stop = () => Promise<void>

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const pending = new Set<Stop>()
let isListening = false
let isEnding = false

/** @throws Error once a signal has arrived: what starts now would outlive this process. */
export function refuseAfterSignal(): void {
  if (isEnding) throw new Error('interrupted')
}

/** `stop` runs exactly once: when the returned function is called, or before a signal ends this process. */
export function stopBeforeExit(stop: Stop): Stop {
  let stopping: Promise<void> | undefined
  const once = () => (stopping ??= stop().finally(() => pending.delete(once)))

  pending.add(once)
  listen()
  return once
}

/** For a process that npm started: a signal to npm ends only the shell in between. */
export function endWithParent(): void {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) void end('SIGTERM')
  }, 500).unref()
}

function listen(): void {
  if (isListening) return
  isListening = true
  for (const signal of SIGNALS) process.on(signal, () => void end(signal))
}

// npm forwards Ctrl-C to a child that has it from the terminal already, so a second signal is ignored.
async function end(signal: (typeof SIGNALS)[number]): Promise<void> {
  if (isEnding) return
  isEnding = true

  // In reverse order: tests depend on their servers, a server on its folder.
  for (let stop = [...pending].at(-1); stop !== undefined; stop = [...pending].at(-1)) {
    await stop().catch((error: unknown) => console.error(error))
  }
  process.exit(128 + constants.signals[signal])
}
