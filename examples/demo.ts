import { setTimeout as sleep } from 'node:timers/promises'
import { readAddresses } from './demo/addresses.ts'
import { banner } from './demo/banner.ts'
import { ChildEnded, firstEnd, startChild, stopChildren, untilReady } from './demo/children.ts'
import { appEnvironment, portalEnvironment } from './demo/environment.ts'
import { requireFreePorts } from './demo/ports.ts'
import { findFirstLink, prepareIdentity, prepareNotes, preparePhotos } from './demo/registry.ts'

let isStopping = false

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void shutDown(0))

try {
  await runDemo()
} catch (problem) {
  // Ctrl-C reaches the children at the same moment. Their end is then no failure.
  await sleep(100)
  if (!isStopping) {
    console.error(problem instanceof Error ? problem.message : problem)
    await shutDown(problem instanceof ChildEnded ? problem.exitCode : 1)
  }
}

/** Starts the portal, prepares it, and starts both apps; returns only when one of them has ended. */
async function runDemo() {
  if (process.env.NODE_ENV === 'production') {
    throw new Error('The demo prints a password on the screen, so it does not run with NODE_ENV=production.')
  }
  const addresses = readAddresses(process.env)
  await requireFreePorts(addresses)

  const portal = startChild('portal', 'src/gatehouse.ts', ['serve'], portalEnvironment(addresses))
  await untilReady(portal, new URL('/readyz', addresses.portal.url).href)

  const notesSettings = await prepareNotes(addresses)
  await preparePhotos(addresses)
  const person = await prepareIdentity(addresses)
  const firstLink = await findFirstLink(addresses)

  const notes = startChild('notes', 'examples/notes/server.ts', [], {
    ...appEnvironment(addresses),
    ...notesSettings,
  })
  const photos = startChild('photos', 'examples/photos/server.ts', [], appEnvironment(addresses))
  await Promise.all([untilReady(notes, addresses.notes.url), untilReady(photos, addresses.photos.url)])

  console.log(banner(addresses, person, firstLink))
  throw await firstEnd([portal, notes, photos])
}

async function shutDown(exitCode: number) {
  if (isStopping) return
  isStopping = true
  await stopChildren()
  process.exit(exitCode)
}
