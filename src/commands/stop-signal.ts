/** How often a process that npm started checks whether its parent is alive (ms). */
const LOOK_EVERY_MS = 500

/**
 * Graceful shutdown: resolves at the first signal. A second signal must not interrupt it.
 * `npx gatehouse` runs the program under a shell, and a signal ends only npm and that shell. There, the end of the parent is
 * the signal.
 */
export async function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve()).on('SIGINT', () => resolve())
    if (process.env['npm_lifecycle_event'] === undefined) return
    const parent = process.ppid
    setInterval(() => process.ppid === parent || resolve(), LOOK_EVERY_MS).unref()
  })
}
