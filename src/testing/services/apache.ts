import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { installPackages } from './apt.ts'
import { quote } from './command.ts'
import { findProgram, thisMachine, type Machine } from './machine.ts'
import { launch } from './server-process.ts'
import type { Service } from './service.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'

const MODULES = '/usr/lib/apache2/modules'
// Debian's build has the others built in.
const NEEDED = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'include', 'auth_openidc']

export interface Apache {
  program: string
}

/**
 * Apache with mod_auth_openidc, as Debian has them.
 * @throws Error that says why this machine cannot have them.
 */
export async function findApache(machine: Machine = thisMachine): Promise<Apache> {
  const installed = findInstalled(machine)
  if (installed !== null) return installed
  await installPackages(machine, 'apache2', 'libapache2-mod-auth-openidc')
  const found = findInstalled(machine)
  if (found === null) throw new Error(`there is no apache2 with mod_auth_openidc in ${MODULES}`)
  return found
}

function findInstalled(machine: Machine): Apache | null {
  // Users who are not root often have no /usr/sbin in their PATH.
  const program = findProgram({ ...machine, programFolders: [...machine.programFolders, '/usr/sbin'] }, 'apache2')
  return program !== null && NEEDED.every((name) => existsSync(moduleFile(name))) ? { program } : null
}

function moduleFile(name: string): string {
  return join(MODULES, `mod_${name}.so`)
}

/**
 * An Apache with its own configuration, independent of the system's.
 * @param page is served at every path, with server-side includes
 * @param directives get the URL of the server, because the redirect URI is one of them
 */
export async function startApache(
  { program }: Apache,
  page: string,
  directives: (url: string) => string[] | Promise<string[]>,
): Promise<Service> {
  const folder = await makeTemporaryFolder('apache')
  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}`
  await writeFile(join(folder.path, 'page.html'), page, { mode: 0o644 })
  const log = join(folder.path, 'error.log')
  const lines = [
    `ServerRoot ${folder.path}`,
    `DefaultRuntimeDir ${folder.path}`,
    `PidFile ${folder.path}/apache.pid`,
    'ServerName 127.0.0.1',
    `Listen 127.0.0.1:${port}`,
    `ErrorLog ${log}`,
    'StartServers 1',
    ...NEEDED.map((name) => `LoadModule ${name}_module ${moduleFile(name)}`),
    // Only root may and must name the user that serves requests.
    ...(process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : []),
    `DocumentRoot ${folder.path}`,
    ...(await directives(url)),
  ]
  const file = join(folder.path, 'apache.conf')
  await writeFile(file, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 })
  const server = launch(program, ['-D', 'FOREGROUND', '-f', file], {
    folder: folder.path,
    endSignal: 'SIGTERM',
    killSignal: 'SIGKILL',
  })
  const stop = async () => {
    await server.stop()
    await folder.remove()
  }
  try {
    await server.ready(() => fetch(url, { redirect: 'manual' }))
    return { url, origin: `Apache from ${program}`, stop }
  } catch (error) {
    const logged = await readFile(log, 'utf8').catch(() => '')
    await stop()
    throw new Error(`Apache did not start${quote(logged)}`, { cause: error })
  }
}
