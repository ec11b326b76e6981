import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the portal shows only once and the demo needs again. */
export interface Keepsake {
  username?: string
  password?: string
  notesSecret?: string
}

const folder = process.env.DATA_DIR || './data'
const file = join(folder, 'demo.json')

/** Empty when the file is lost or unreadable: everything in it can be created again. */
export async function readKeepsake(): Promise<Keepsake> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return {}
  }
}

/** Adds to the file. It is written beside and renamed, so that a crash leaves the old file or the new one. */
export async function keep(more: Keepsake) {
  const next = { ...(await readKeepsake()), ...more }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(`${file}.new`, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 })
  await rename(`${file}.new`, file)
}
