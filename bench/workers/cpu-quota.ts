import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stopBeforeExit } from '../../src/testing/services/shutdown.ts'

/** A CPU quota of one process, enforced by the kernel (a Linux cgroup). */
export interface CpuQuota {
  /** Removes the quota and the cgroup. */
  remove(): Promise<void>
}

/** The kernel hands a quota out to cores in pieces of 5 ms, so a small one would be lost between them. */
const PERIOD_MICROS = 100_000

/**
 * Limits a process, with all its threads, to this share of a core (0 to 1). @throws Error without permission, or without
 * cgroups
 */
export async function limitCpu(pid: number, share: number): Promise<CpuQuota> {
  const { root, settings } = findController(share)
  const folder = join(root, `gatehouse-bench-${randomBytes(6).toString('hex')}`)
  mkdirSync(folder)
  const remove = stopBeforeExit(async () => {
    for (const line of readFileSync(join(folder, PROCESSES), 'utf8').split('\n').filter(Boolean)) leave(root, line)
    rmdirSync(folder)
  })
  try {
    for (const [file, value] of settings) writeFileSync(join(folder, file), value)
    writeFileSync(join(folder, PROCESSES), String(pid))
  } catch (error) {
    await remove()
    throw error
  }
  return { remove }
}

/** Why `limitCpu` would fail; null when it would not. */
export async function whyNoCpuQuota(): Promise<string | null> {
  try {
    const quota = await limitCpu(process.pid, 1)
    await quota.remove()
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const PROCESSES = 'cgroup.procs'

interface Controller {
  root: string
  /** The settings of a cgroup, file by file. */
  settings: [string, string][]
}

function findController(share: number): Controller {
  const quota = String(Math.round(PERIOD_MICROS * share))
  const first = '/sys/fs/cgroup/cpu'
  if (existsSync(join(first, 'cpu.cfs_quota_us')))
    return {
      root: first,
      settings: [
        ['cpu.cfs_period_us', String(PERIOD_MICROS)],
        ['cpu.cfs_quota_us', quota],
      ],
    }

  const second = '/sys/fs/cgroup'
  const controllers = join(second, 'cgroup.controllers')
  if (!existsSync(controllers) || !readFileSync(controllers, 'utf8').split(/\s+/).includes('cpu'))
    throw new Error('there is no cgroup controller for cpu under /sys/fs/cgroup')
  writeFileSync(join(second, 'cgroup.subtree_control'), '+cpu')
  return { root: second, settings: [['cpu.max', `${quota} ${PERIOD_MICROS}`]] }
}

function leave(root: string, pid: string): void {
  try {
    writeFileSync(join(root, PROCESSES), pid)
  } catch (error) {
    // It has ended in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
