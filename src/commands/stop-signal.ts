/** How often a process that npm started looks whether its parent is still there (ms). */
const LOOK_EVERY_MS = 500

/**
 * Resolves at the first signal; a second one must not cut short what the first one began. `npx gatehouse` runs the program
 * under a shell, and a signal ends npm and that shell alone: there, the end of the parent is the signal.
 */
export async function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve()).on('SIGINT', () => resolve())
    if (process.env['npm_lifecycle_event'] === undefined) return
    const parent = process.ppid
    setInterval(() => process.ppid === parent || resolve(), LOOK_EVERY_MS).unref()
  })
}
