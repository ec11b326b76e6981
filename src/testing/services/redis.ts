import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { installPackages } from './apt.ts'
import { startContainer } from './docker.ts'
import { findProgram, thisMachine, type Machine } from './machine.ts'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { launch } from './server-process.ts'
import type { Service } from './service.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'
import { firstThatWorks } from './ways.ts'

const IMAGE = 'redis:7-alpine'

/**
 * A Redis server with a password: that of REDIS_URL, or a new one that writes nothing to disk. @throws Error that lists
 * everything that was tried.
 */
export async function startRedis(machine: Machine = thisMachine): Promise<Service> {
  const given = machine.env['REDIS_URL']
  if (given) return useGiven(given)

  return firstThatWorks('Redis', 'Install its server (or Valkey), start Docker, or set REDIS_URL.', [
    { name: 'installed server', take: () => startInstalled(machine) },
    { name: 'Docker', take: () => startDocker(machine) },
    { name: 'apt-get', take: () => installAndStart(machine) },
  ])
}

async function useGiven(url: string): Promise<Service> {
  const version = await askVersion(url).catch((error: Error) => {
    throw new Error(`The Redis of REDIS_URL cannot be used: ${error.message}`, { cause: error })
  })
  return { url, origin: `Redis ${version} of REDIS_URL`, stop: async () => undefined }
}

async function startInstalled(machine: Machine): Promise<Service> {
  const program = findProgram(machine, 'redis-server', 'valkey-server')
  if (program === null) throw new Error('there is neither redis-server nor valkey-server in PATH or the usual places')

  const password = randomBytes(16).toString('hex')
  const port = await findFreePort()
  const folder = await makeTemporaryFolder('redis')
  // Its settings come on standard input, because every user of the machine can read command lines.
  const server = launch(program, ['-'], {
    folder: folder.path,
    endSignal: 'SIGTERM',
    killSignal: 'SIGKILL',
    input: `bind 127.0.0.1\nport ${port}\ndir ${folder.path}\n${settings(password)}`,
  })
  const stop = async () => {
    await server.stop()
    await folder.remove()
  }
  const url = urlOf(password, port)
  try {
    const version = await server.ready(() => askVersion(url))
    return { url, origin: `Redis ${version} from ${program}`, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startDocker(machine: Machine): Promise<Service> {
  const password = randomBytes(16).toString('hex')
  const container = await startContainer(machine, {
    image: IMAGE,
    port: 6379,
    env: { REDIS_SETTINGS: settings(password) },
    command: ['sh', '-c', 'printf %s "$REDIS_SETTINGS" | redis-server -'],
  })
  const url = urlOf(password, container.port)
  try {
    const version = await container.ready(() => askVersion(url))
    return { url, origin: `Redis ${version} from Docker's ${IMAGE}`, stop: container.stop }
  } catch (error) {
    await container.stop()
    throw error
  }
}

async function installAndStart(machine: Machine): Promise<Service> {
  await installPackages(machine, 'redis-server')
  return startInstalled(machine)
}

function settings(password: string): string {
  return `save ""\nappendonly no\nrequirepass ${password}\n`
}

function urlOf(password: string, port: number): string {
  return `redis://:${password}@127.0.0.1:${port}`
}

async function askVersion(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true, connectTimeout: 5000, retryStrategy: () => null })
  let reason: Error | null = null
  redis.on('error', (error: Error) => (reason = error))
  try {
    await redis.connect()
    const server = await redis.info('server')
    return /^(?:valkey|redis)_version:(\S+)/m.exec(server)?.[1] ?? 'of unknown version'
  } catch (error) {
    throw reason ?? error
  } finally {
    redis.disconnect()
  }
}
