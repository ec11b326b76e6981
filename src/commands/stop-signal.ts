/** Resolves at the first signal; a second one must not cut short what the first one began. */
export async function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve()).on('SIGINT', () => resolve())
  })
}
