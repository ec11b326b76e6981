import { makeTemporaryFolder } from '../../src/testing/services/temporary-folder.ts'
import { createDatabase } from '../database.ts'
import type { Subject, SubjectOptions } from './subject.ts'

/** Starts a subject in a database and a folder of its own, which are deleted when it stops. */
export async function install<T extends Subject>(
  start: (options: SubjectOptions) => Promise<T>,
  serverUrl: string,
  options: Omit<SubjectOptions, 'databaseUrl' | 'folder'>,
): Promise<T> {
  const folder = await makeTemporaryFolder('bench')
  const database = await createDatabase(serverUrl)
  const clean = async () => {
    await database.drop()
    await folder.remove()
  }
  try {
    const subject = await start({ ...options, databaseUrl: database.url, folder: folder.path })
    const stop = async () => {
      await subject.stop()
      await clean()
    }
    return { ...subject, stop }
  } catch (error) {
    await clean()
    throw error
  }
}

/** Starts all at once; when one fails, all are stopped. */
export async function installAll(installations: Promise<Subject>[]): Promise<Subject[]> {
  const outcomes = await Promise.allSettled(installations)
  const subjects = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value)
  const failure = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failure === undefined) return subjects
  await stopAll(subjects)
  throw failure.reason
}

export async function stopAll(subjects: Subject[]): Promise<void> {
  await Promise.all(subjects.map((subject) => subject.stop()))
}
