import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { mkdtemp, open, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { PassphraseKey } from '../domain/moving/passphrase-keys.ts'
import { decryptWith, encryptWith } from '../domain/moving/passphrases.ts'
import { CommandRefused } from './command-refused.ts'

/**
 * Encrypts what `produce` writes into a file of mode 0600, which has its name only once it is complete; `-` is standard output.
 * @throws CommandRefused where there is such a file and it is not replaced, or it cannot be written
 */
export async function writeExportFile<T>(
  file: string,
  { passphrase, force }: { passphrase: string; force: boolean },
  produce: (write: (text: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  if (file === '-') {
    if (process.stdout.isTTY) throw new CommandRefused('the file is not for a terminal: redirect standard output')
    return encrypted(passphrase, process.stdout, produce).catch(cannotBe('standard output', 'written'))
  }
  await refuseExisting(file, force)
  const partial = `${file}.${randomBytes(6).toString('hex')}.partial`
  const handle = await open(partial, 'wx', 0o600).catch(cannotBe(file, 'written'))
  const stopRemoving = removeWhenStopped(partial)
  try {
    const produced = await encrypted(passphrase, handle.createWriteStream({ flush: true }), produce)
    await refuseExisting(file, force)
    await rename(partial, file)
    return produced
  } catch (error) {
    return cannotBe(file, 'written')(error)
  } finally {
    stopRemoving()
    await handle.close().catch(() => {})
    await rm(partial, { force: true })
  }
}

async function encrypted<T>(
  passphrase: string,
  target: Writable,
  produce: (write: (text: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const ciphertext = await encryptWith(new PassphraseKey(passphrase), readable)
  const written = pipeline(Readable.fromWeb(ciphertext), target, { end: target !== process.stdout })
  // It fails while `produce` writes; the catch below says so.
  written.catch(() => {})
  const writer = writable.getWriter()
  const encoder = new TextEncoder()
  try {
    const produced = await produce(async (text) => writer.write(encoder.encode(text)))
    await writer.close()
    await written
    return produced
  } catch (error) {
    await writer.abort(error).catch(() => {})
    await written
    throw error
  }
}

/** A file of an export, which can be read more than once. */
export interface ExportFile {
  /** @throws Refused for a wrong passphrase and for a damaged file, CommandRefused where it cannot be read */
  lines(): AsyncIterable<string>
  close(): Promise<void>
}

/** Opens a file; what comes from standard input (`-`) is kept, encrypted as it is, in a temporary file. */
export async function openExportFile(file: string, passphrase: string): Promise<ExportFile> {
  const key = new PassphraseKey(passphrase)
  if (file !== '-') return { lines: () => linesOf(decryptWith(key, read(file))), close: async () => {} }
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-import-')).catch(cannotBe(tmpdir(), 'written'))
  const close = async () => rm(folder, { recursive: true, force: true })
  const stopRemoving = removeWhenStopped(join(folder, 'export'))
  try {
    await pipeline(process.stdin, createWriteStream(join(folder, 'export'), { mode: 0o600 }))
  } catch (error) {
    await close()
    return cannotBe(folder, 'written')(error)
  }
  return {
    lines: () => linesOf(decryptWith(key, read(join(folder, 'export')))),
    async close() {
      stopRemoving()
      await close()
    },
  }
}

async function* read(file: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(file)) yield chunk as Buffer
  } catch (error) {
    cannotBe(file, 'read')(error)
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

async function refuseExisting(file: string, force: boolean): Promise<void> {
  const found = await stat(file).catch(() => null)
  if (found === null) return
  if (!found.isFile()) throw new CommandRefused(`${file} is not a file`)
  if (!force) throw new CommandRefused(`${file} exists already; --force replaces it`)
}

/** Turns an error of the file system into words. Other errors are passed on. */
function cannotBe(file: string, done: 'read' | 'written') {
  return (error: unknown): never => {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (syscall === undefined) throw error
    throw new CommandRefused(`${file} cannot be ${done} (${code ?? (error as Error).message})`, { cause: error })
  }
}

/** Removes a file when the command is stopped by a signal. @returns takes that back */
function removeWhenStopped(file: string): () => void {
  const remove = (signal: NodeJS.Signals) => {
    rmSync(file, { force: true })
    process.kill(process.pid, signal)
  }
  for (const signal of SIGNALS) process.once(signal, remove)
  return () => {
    for (const signal of SIGNALS) process.off(signal, remove)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
