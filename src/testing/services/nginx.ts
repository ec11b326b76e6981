import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { installPackages } from './apt.ts'
import { quote, run } from './command.ts'
import { findProgram, thisMachine, type Machine } from './machine.ts'
import { launch } from './server-process.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'

const CHECK_LIMIT = 10_000

export interface Nginx {
  httpPort: number
  httpsPort: number
  stop: () => Promise<void>
}

export interface NginxFiles {
  /** The server blocks, as they would stand in `/etc/nginx/conf.d`. */
  configuration: string
  /** PEM. */
  certificate: string
  key: string
  /** Where what it passes on goes. */
  upstreamPort: number
}

/** The nginx of this machine, else Debian's package. @throws Error that says why this machine cannot have it. */
export async function findNginx(machine: Machine = thisMachine): Promise<string> {
  // Users who are not root often have no /usr/sbin in their PATH.
  const found = () => findProgram({ ...machine, programFolders: [...machine.programFolders, '/usr/sbin'] }, 'nginx')
  const installed = found()
  if (installed !== null) return installed
  await installPackages(machine, 'nginx-light')
  const program = found()
  if (program === null) throw new Error('there is no nginx in PATH or the usual places')
  return program
}

/** Runs these server blocks with ports, certificate and upstream of its own, after `nginx -t` has accepted them. */
export async function startNginx(program: string, files: NginxFiles): Promise<Nginx> {
  const folder = await makeTemporaryFolder('nginx')
  const inside = (name: string) => join(folder.path, name)
  const httpPort = await findFreePort()
  const httpsPort = await findFreePort()
  const blocks = files.configuration
    .replaceAll(/^\s*listen \[::\].*\n/gm, '')
    .replaceAll('listen 80;', `listen 127.0.0.1:${httpPort};`)
    .replaceAll('listen 443 ', `listen 127.0.0.1:${httpsPort} `)
    .replaceAll(/ssl_certificate .*;/g, `ssl_certificate ${inside('certificate.pem')};`)
    .replaceAll(/ssl_certificate_key .*;/g, `ssl_certificate_key ${inside('key.pem')};`)
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${files.upstreamPort}`)
  await writeFile(inside('certificate.pem'), files.certificate)
  await writeFile(inside('key.pem'), files.key, { mode: 0o600 })
  await writeFile(
    inside('nginx.conf'),
    `daemon off;
master_process off;
pid ${inside('pid')};
error_log ${inside('error.log')};
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${inside(kind)};`).join('\n  ')}
  ${blocks}
}
`,
  )
  const args = ['-p', folder.path, '-e', inside('error.log'), '-c', inside('nginx.conf')]
  try {
    await run(program, ['-t', ...args], { limit: CHECK_LIMIT })
    const server = launch(program, args, { folder: folder.path, endSignal: 'SIGTERM', killSignal: 'SIGKILL' })
    const stop = async () => {
      await server.stop()
      await folder.remove()
    }
    await server
      .ready(() => fetch(`http://127.0.0.1:${httpPort}/`, { redirect: 'manual' }))
      .catch(async (error: unknown) => {
        await server.stop()
        throw error
      })
    return { httpPort, httpsPort, stop }
  } catch (error) {
    const logged = await readFile(inside('error.log'), 'utf8').catch(() => '')
    await folder.remove()
    throw new Error(`nginx did not start${quote(logged)}`, { cause: error })
  }
}
