import { app } from './app.ts'
import { revocations } from './notes-api.ts'
import { settings } from './settings.ts'

const server = app.listen(settings.port, '127.0.0.1', (problem) => {
  if (problem) {
    console.error(`Notes cannot listen on port ${settings.port}: ${problem.message}`)
    process.exit(1)
  }
  console.log(`Notes is at ${settings.origin}`)
})
void revocations.follow()

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    server.close(() => process.exit(0))
    // Browsers keep idle connections open, which would delay the stop.
    server.closeAllConnections()
  })
}
