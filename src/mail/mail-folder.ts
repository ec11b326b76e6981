import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { type Carrier, type OutgoingMail, mimeOf } from './outgoing-mail.ts'

/** A mail in the mail preview folder. */
export interface FolderMail {
  name: string
  from: string
  to: string
  subject: string
  text: string
  at: Date
}

const NAME = /^\d{8}T\d{9}Z-[\w.-]{1,80}$/

/**
 * The mail preview of development: mails become files in a folder and are not sent. Each has its MIME form (`.eml`) and the
 * fields that a page shows (`.json`).
 */
export function openMailFolder(folder: string): Carrier {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })

  return {
    async carry(mail) {
      const { message } = await transport.sendMail(mimeOf(mail))
      const name = nameOf(mail)
      const { from, to, subject, text, at } = mail
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeWhole(folder, `${name}.eml`, message as Buffer)
      // Last, because this is the one that lists are made of.
      await writeWhole(folder, `${name}.json`, `${JSON.stringify({ from, to, subject, text, at }, null, 2)}\n`)
    },
    close: () => transport.close(),
  }
}

/** The newest mails, newest first. */
export async function listMailFolder(folder: string, limit: number): Promise<FolderMail[]> {
  const names = (await filesIn(folder))
    .flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []))
    .filter((name) => NAME.test(name))
  const newest = names.toSorted().toReversed().slice(0, limit)
  const mails = await Promise.all(newest.map((name) => findInMailFolder(folder, name)))
  return mails.filter((mail) => mail !== null)
}

/** Null when there is no mail of this name, or the name is invalid. */
export async function findInMailFolder(folder: string, name: string): Promise<FolderMail | null> {
  const written = await readPart(folder, name, 'json')
  if (written === null) return null
  const mail = JSON.parse(written.toString()) as Omit<FolderMail, 'name' | 'at'> & { at: string }
  return { ...mail, name, at: new Date(mail.at) }
}

/** The MIME form of the mail (RFC 5322); null as above. */
export async function findMimeInMailFolder(folder: string, name: string): Promise<Buffer | null> {
  return readPart(folder, name, 'eml')
}

async function readPart(folder: string, name: string, part: 'json' | 'eml'): Promise<Buffer | null> {
  if (!NAME.test(name)) return null
  try {
    return await readFile(join(folder, `${name}.${part}`))
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Names sort by time: 20261121T152544123Z-id. */
function nameOf({ at, id }: OutgoingMail): string {
  return `${at.toISOString().replace(/[-:.]/g, '')}-${id}`
}

/** Writes a file atomically: readers never see half of it. */
async function writeWhole(folder: string, file: string, content: Buffer | string): Promise<void> {
  const draft = join(folder, `.${file}.${process.pid}`)
  await writeFile(draft, content, { mode: 0o600 })
  await rename(draft, join(folder, file))
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
