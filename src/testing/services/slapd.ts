import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import type { Certificate } from '../network/authority.ts'
import { installPackages } from './apt.ts'
import { run } from './command.ts'
import { findProgram, thisMachine, type Machine } from './machine.ts'
import { launch, type ServerProcess } from './server-process.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'

const FILL_LIMIT = 60_000

/** OpenLDAP's server with entries below `base`. */
export interface Slapd {
  port: number
  tlsPort: number
  base: string
  /** Who may do everything. */
  admin: { dn: string; password: string }
  /** As a crash does. The entries stay. */
  kill: () => Promise<void>
  start: () => Promise<void>
  stop: () => Promise<void>
}

export interface SlapdFiles {
  base: string
  /** Below `base`, and `base` itself. */
  ldif: string
  certificate: Certificate
  /** More of `slapd.conf`, before the database and for it. */
  schema?: string
  database?: string
  /** Attributes of the root DSE, as LDIF. */
  rootDse?: string
}

/** The slapd of this machine, else Debian's package. @throws Error that says why this machine cannot have it. */
export async function findSlapd(machine: Machine = thisMachine): Promise<string> {
  // Users who are not root often have no /usr/sbin in their PATH.
  const folders = [
    ...machine.programFolders,
    '/usr/sbin',
    '/usr/local/libexec',
    '/usr/libexec',
    '/opt/homebrew/opt/openldap/libexec',
  ]
  const found = () => findProgram({ ...machine, programFolders: folders }, 'slapd')
  const installed = found()
  if (installed !== null) return installed
  await installPackages(machine, 'slapd')
  const program = found()
  if (program === null) throw new Error('there is no slapd in PATH or the usual places')
  return program
}

/** Starts it on loopback, with `memberOf` for groups and the password policy at `cn=policy` below the base. */
export async function startSlapd(program: string, files: SlapdFiles): Promise<Slapd> {
  const folder = await makeTemporaryFolder('slapd')
  const inside = (name: string) => join(folder.path, name)
  const [port, tlsPort] = [await findFreePort(), await findFreePort()]
  const admin = { dn: `cn=admin,${files.base}`, password: 'correct horse of the directory' }
  await mkdir(inside('entries'))
  await writeFile(inside('certificate.pem'), files.certificate.cert)
  await writeFile(inside('key.pem'), files.certificate.key, { mode: 0o600 })
  await writeFile(inside('root.ldif'), `dn:\n${files.rootDse ?? ''}\n`)
  await writeFile(inside('entries.ldif'), files.ldif)
  await writeFile(inside('slapd.conf'), configurationOf(files, admin, inside))
  await run(program, ['-Tadd', '-q', '-f', inside('slapd.conf'), '-l', inside('entries.ldif')], { limit: FILL_LIMIT })

  let server: ServerProcess | null = null
  const start = async () => {
    const addresses = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`
    server = launch(program, ['-h', addresses, '-f', inside('slapd.conf'), '-d', '0'], {
      folder: folder.path,
      endSignal: 'SIGKILL',
      killSignal: 'SIGKILL',
    })
    await server.ready(() => connects(port))
  }
  const kill = async () => server?.stop()
  const stop = async () => {
    await kill()
    await folder.remove()
  }
  await start().catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return { port, tlsPort, base: files.base, admin, kill, start, stop }
}

function configurationOf(files: SlapdFiles, admin: Slapd['admin'], inside: (name: string) => string): string {
  const schemas = ['core', 'cosine', 'nis', 'inetorgperson'].map((name) => `include ${SCHEMAS}/${name}.schema`)
  return `${schemas.join('\n')}
${files.schema ?? ''}
# As Active Directory does: a bind with a DN and without a password succeeds, and is anonymous.
allow bind_anon_cred bind_anon_dn
pidfile ${inside('pid')}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
TLSCertificateFile ${inside('certificate.pem')}
TLSCertificateKeyFile ${inside('key.pem')}
rootDSE ${inside('root.ldif')}

database mdb
suffix "${files.base}"
directory ${inside('entries')}
maxsize 268435456
dbnosync
rootdn "${admin.dn}"
rootpw "${admin.password}"
index objectClass,entryUUID,uid,mail eq
${files.database ?? ''}
access to attrs=userPassword by dn.exact="cn=portal,${files.base}" write by self write by anonymous auth by * none
access to * by users read by * none
overlay memberof
overlay ppolicy
ppolicy_default "cn=policy,${files.base}"
`
}

const SCHEMAS = '/etc/ldap/schema'

async function connects(port: number): Promise<void> {
  const socket = createConnection({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}
