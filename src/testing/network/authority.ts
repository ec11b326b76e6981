import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../services/command.ts'
import { makeTemporaryFolder } from '../services/temporary-folder.ts'

const LIMIT = 20_000

/** A certificate with its key, both PEM. */
export interface Certificate {
  cert: string
  key: string
}

/** A certificate authority for one test (OpenSSL). */
export interface Authority {
  /** PEM. */
  cert: string
  /** The path of the same. */
  file: string
  /** A certificate for a host name, valid for so many days from now. */
  issue(host: string, days?: number): Promise<Certificate>
  remove(): Promise<void>
}

export async function createAuthority(): Promise<Authority> {
  const folder = await makeTemporaryFolder('authority')
  const inside = (name: string) => join(folder.path, name)
  const openssl = async (...args: string[]) => run('openssl', args, { limit: LIMIT, cwd: folder.path })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test CA', '-days', '30')
  return {
    cert: await readFile(inside('ca.pem'), 'utf8'),
    file: inside('ca.pem'),
    async issue(host, days = 90) {
      await openssl('req', ...newKey, '-keyout', 'host.key', '-out', 'host.csr', '-subj', `/CN=${host}`)
      await writeFile(inside('host.ext'), `subjectAltName=DNS:${host}\n`)
      const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'host.ext']
      await openssl('x509', '-req', '-in', 'host.csr', ...signing, '-out', 'host.pem', '-days', String(days))
      const [cert, key] = await Promise.all(['host.pem', 'host.key'].map((name) => readFile(inside(name), 'utf8')))
      return { cert: cert as string, key: key as string }
    },
    remove: folder.remove,
  }
}
