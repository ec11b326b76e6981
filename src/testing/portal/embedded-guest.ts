import { once } from 'node:events'
import pg from 'pg'
import { startEmbedded } from '../../storage/embedded/embedded.ts'

// A separate process on the embedded database of a folder: embedded-guest.ts <folder> [count up]. It prints the database's URL,
// then, on request, every number whose row was acknowledged; it ends on request.
const [folder, task] = process.argv.slice(2) as [string, string | undefined]
const embedded = await startEmbedded(folder)
console.log(embedded.ownerUrl)

void once(process.stdin, 'data').then(async () => {
  await embedded.leave()
  process.exit()
})

if (task === 'count up') {
  const client = new pg.Client({ connectionString: embedded.ownerUrl })
  client.on('error', () => {})
  await client.connect()
  await client.query('CREATE TABLE IF NOT EXISTS numbers (number integer PRIMARY KEY)')
  try {
    for (let number = 1; ; number++) {
      await client.query('INSERT INTO numbers VALUES ($1)', [number])
      console.log(number)
    }
  } catch {
    process.exit()
  }
}
