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
  /** A whole `nginx.conf`, or server blocks as they would stand in `/etc/nginx/conf.d`. */
  configuration: string
  /** What the server that ends TLS includes. */
  locations: string
  /** PEM. */
  certificate: string
  key: string
  /** The addresses of upstream servers in the configuration, and where they are here. */
  upstreams: Record<string, string>
  /** Free ones where they are left out. */
  ports?: Pick<Nginx, 'httpPort' | 'httpsPort'>
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

/** Runs this configuration with ports, certificate and upstreams of its own, after `nginx -t` has accepted them. */
export async function startNginx(program: string, files: NginxFiles): Promise<Nginx> {
  const folder = await makeTemporaryFolder('nginx')
  const inside = (name: string) => join(folder.path, name)
  const { httpPort, httpsPort } = files.ports ?? { httpPort: await findFreePort(), httpsPort: await findFreePort() }
  const replaced = files.configuration
    .replaceAll(/ \/tmp\//g, ` ${folder.path}/`)
    .replaceAll(/^\s*listen \[::\].*\n/gm, '')
    .replaceAll(/listen (80|8080);/g, `listen 127.0.0.1:${httpPort};`)
    .replaceAll(/listen (443|8443) /g, `listen 127.0.0.1:${httpsPort} `)
    .replaceAll(/ssl_certificate .*;/g, `ssl_certificate ${inside('certificate.pem')};`)
    .replaceAll(/ssl_certificate_key .*;/g, `ssl_certificate_key ${inside('key.pem')};`)
    .replaceAll(/include .*-locations\.conf;/g, `include ${inside('locations.conf')};`)
  const configuration = Object.entries(files.upstreams).reduce(
    (text, [there, here]) => text.replaceAll(`server ${there}`, `server ${here}`),
    replaced,
  )
  await writeFile(inside('certificate.pem'), files.certificate)
  await writeFile(inside('key.pem'), files.key, { mode: 0o600 })
  await writeFile(inside('locations.conf'), files.locations)
  const isWhole = /^http \{/m.test(configuration)
  await writeFile(
    inside('nginx.conf'),
    `daemon off;\nmaster_process off;\n${isWhole ? configuration : wholeOf(configuration, inside)}`,
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

/** Around server blocks, what a distribution has in its nginx.conf. */
function wholeOf(blocks: string, inside: (name: string) => string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `pid ${inside('pid')};
error_log ${inside('error.log')};
events {}
http {
  access_log off;
  ${temporary.map((kind) => `${kind}_temp_path ${inside(kind)};`).join('\n  ')}
  ${blocks}
}
`
}
