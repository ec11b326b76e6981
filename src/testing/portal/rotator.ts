import { once } from 'node:events'
import { readConfig } from '../../config.ts'
import type { Services } from '../../domain/services.ts'
import { Metrics } from '../../domain/metrics.ts'
import { Tally } from '../../domain/tally.ts'
import { deriveSecrets } from '../../domain/keys/secrets.ts'
import { openPostgres } from '../../storage/postgres.ts'
import { REFRESHES, successorIn } from './connections.ts'

// A process of its own, in the same environment as a portal's, that holds one refresh token.
//   rotator.ts race <way> <client id> <refresh token> <callers>   all at once, when it is told to; prints every answer
//   rotator.ts crowd <way> <client id> <refresh token> <callers>  each eight times, with no regard for the others
//   rotator.ts loop <way> <client id> <refresh token>             from successor to successor until it is killed
const [task, way, clientId, first, callers] = process.argv.slice(2) as [
  string,
  keyof typeof REFRESHES,
  string,
  string,
  string,
]
const { databaseUrl, preparedStatements, secrets, lifetimes, policy } = readConfig()
const patience = { connection: 15_000, query: 15_000 }
const storage = openPostgres(databaseUrl as string, () => {}, patience, { preparedStatements })
// Loads only what a rotation needs, so that a test waits for nothing else.
const clock = () => new Date()
const services = {
  storage,
  secrets: deriveSecrets(secrets),
  lifetimes,
  policy,
  clock,
  tally: new Tally(clock),
  metrics: new Metrics(),
} as unknown as Services
const rotateOnce = async (refreshToken: string) => REFRESHES[way](services, { clientId, refreshToken })

console.log('ready')
if (task === 'race') {
  await once(process.stdin, 'data')
  const answers = await Promise.all(Array.from({ length: Number(callers) }, async () => rotateOnce(first)))
  console.log(JSON.stringify(answers.map(successorIn)))
  process.exit()
}
if (task === 'crowd') {
  await Promise.all(
    Array.from({ length: Number(callers) }, async (_, caller) => {
      let token = first
      for (let times = 0; times < 8; times++) {
        token = successorIn(await rotateOnce(token))
        console.log(`${caller} ${token}`)
      }
    }),
  )
  await once(process.stdin, 'data')
}
for (let token = first; ;) {
  token = successorIn(await rotateOnce(token))
  console.log(token)
}
