import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { quote, run } from './command.ts'
import { findProgram, type Machine } from './machine.ts'
import { stopBeforeExit } from './shutdown.ts'

export interface ContainerOptions {
  image: string
  /** The port inside; outside, it gets a free port on loopback. */
  port: number
  /** Passed in the environment, so that no secret is on a command line. */
  env: Record<string, string>
  command?: string[]
}

export interface Container {
  port: number
  ready: <Answer>(ask: () => Promise<Answer>) => Promise<Answer>
  stop: () => Promise<void>
}

const INFO_LIMIT = 20_000
const RUN_LIMIT = 5 * 60_000
const START_LIMIT = 60_000

/** Starts a container that is removed by `stop`, or when this process ends. */
export async function startContainer(machine: Machine, options: ContainerOptions): Promise<Container> {
  const program = findProgram(machine, 'docker')
  if (program === null) throw new Error('docker is not on this machine')
  const env = { ...machine.env, ...options.env }
  const docker = (limit: number, ...args: string[]) => run(program, args, { limit, env })
  await docker(INFO_LIMIT, 'info', '--format', '{{.ServerVersion}}')

  machine.say(`starting ${options.image} with Docker …`)
  const name = `gatehouse-test-${randomBytes(6).toString('hex')}`
  const stop = stopBeforeExit(async () => {
    await run(program, ['rm', '--force', '--volumes', name], { limit: START_LIMIT, env, cleansUp: true })
  })
  const variables = Object.keys(options.env).flatMap((variable) => ['--env', variable])
  const published = ['--publish', `127.0.0.1::${options.port}`]
  try {
    const flags = ['--detach', '--rm', '--name', name, ...published, ...variables]
    await docker(RUN_LIMIT, 'run', ...flags, options.image, ...(options.command ?? []))
    const address = await docker(INFO_LIMIT, 'port', name, `${options.port}/tcp`)
    const port = Number(/:(\d+)\s*$/m.exec(address)?.[1])
    return { port, stop, ready: (ask) => patiently(ask, () => docker(INFO_LIMIT, 'logs', '--tail', '15', name)) }
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
}

async function patiently<Answer>(ask: () => Promise<Answer>, readLog: () => Promise<string>): Promise<Answer> {
  const deadline = Date.now() + START_LIMIT
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() > deadline) {
        const log = await readLog().catch(() => '')
        throw new Error(`the container does not answer${quote(log)}`, { cause: error })
      }
    }
    await sleep(200)
  }
}
