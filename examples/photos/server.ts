import { app } from './app.ts'
import { settings } from './settings.ts'

const server = app.listen(settings.port, '127.0.0.1', (problem) => {
  if (problem) {
    console.error(`Photos cannot listen on port ${settings.port}: ${problem.message}`)
    process.exit(1)
  }
  console.log(`Photos is at ${settings.origin}`)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    server.close(() => process.exit(0))
    // Browsers keep idle connections open, which would delay the stop.
    server.closeAllConnections()
  })
}
