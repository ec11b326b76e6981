import { readdir } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { findInMailFolder, type FolderMail } from '../../mail/mail-folder.ts'
import { linksIn } from './links.ts'

const PATIENCE_MS = 15_000
const BETWEEN_LOOKS_MS = 20

export interface ReadMail extends FolderMail {
  links: string[]
}

/** By folder and name. Waiting looks at a folder many times, and a mail in it never changes. */
const read = new Map<string, FolderMail>()

/** The mails of the mail preview folder whose names fit, newest first. */
export async function listMails(folder: string, fits = (_name: string) => true): Promise<FolderMail[]> {
  // The folder is made by its first mail.
  const files = await readdir(folder).catch((): string[] => [])
  const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length))
  const mails = await Promise.all(
    names
      .filter(fits)
      .toSorted()
      .toReversed()
      .map((name) => readOnce(folder, name)),
  )
  return mails.filter((mail) => mail !== null)
}

async function readOnce(folder: string, name: string): Promise<FolderMail | null> {
  const path = `${folder}/${name}`
  const mail = read.get(path) ?? (await findInMailFolder(folder, name))
  if (mail !== null) read.set(path, mail)
  return mail
}

/** Every mail to this e-mail address in the mail preview folder, newest first. */
export async function mailsTo(folder: string, to: string): Promise<ReadMail[]> {
  const mails = await listMails(folder)
  return mails.filter((mail) => mail.to === to).map((mail) => ({ ...mail, links: linksIn(mail.text) }))
}

/** Waits until `count` mails to this e-mail address have this in their subject. @returns the newest of them */
export async function waitForMail(folder: string, to: string, subjectPart: string, count = 1): Promise<ReadMail> {
  const start = performance.now()
  for (;;) {
    const mails = await mailsTo(folder, to)
    const [newest, ...older] = mails.filter(({ subject }) => subject.includes(subjectPart))
    if (newest !== undefined && older.length + 1 >= count) return newest
    if (performance.now() - start > PATIENCE_MS) {
      const there = JSON.stringify(mails.map(({ subject }) => subject))
      throw new Error(`no ${count} mails about ${subjectPart} came to ${to}, only ${there}`)
    }
    await wait(BETWEEN_LOOKS_MS)
  }
}
