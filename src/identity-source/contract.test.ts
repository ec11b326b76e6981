import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type IdentitySource, SourceUnavailable } from '../domain/identity-source.ts'
import { Metrics } from '../domain/metrics.ts'
import { createLogger } from '../logger.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { type Authority, createAuthority } from '../testing/network/authority.ts'
import { BASE, DIRECTORY_PASSWORD, PORTAL, startDirectory } from '../testing/services/directories.ts'
import { makeTemporaryFolder } from '../testing/services/temporary-folder.ts'
import { openIdentitySource, type SourceSettings } from './identity-source.ts'

/** A service in which Ada and Grace live, with the password of the test directory. */
interface Running {
  settings: SourceSettings
  /** It does not answer from now on. */
  stop: () => Promise<void>
}

let authority: Authority

before(async () => (authority = await createAuthority()))
after(async () => authority.remove())

for (const [name, start] of Object.entries({ 'over HTTP': startUserService, 'an LDAP directory': startLdap }))
  describe(`an identity source, ${name}`, () => {
    let running: Running
    let source: IdentitySource

    before(async () => {
      running = await start()
      source = await opened(running.settings)
    })
    after(async () => {
      await source.close()
      await running.stop()
    })

    async function ada() {
      const user = await source.findByLogin('ada')
      assert.ok(user !== null)
      return user
    }

    test('finds a user by name and by address in any case, and the same one by id', async () => {
      const user = await ada()
      assert.equal(user.email, 'ada@example.com')
      assert.equal(user.status, 'active')
      for (const login of ['ADA', 'ada@example.com', 'Ada@Example.com'])
        assert.deepEqual(await source.findByLogin(login), user, login)
      assert.deepEqual(await source.findById(user.id), user)
    })

    test('finds no one by what no one is called', async () => {
      for (const login of ['', 'nobody', '*', 'a%', "' OR 1=1 --", 'ada)(uid=*', 'ada\0', '\uD800', 'a'.repeat(5000)])
        assert.equal(await source.findByLogin(login), null, login.slice(0, 20))
      for (const id of ['', 'nobody', '*', '\0', 'é', 'a'.repeat(5000)])
        assert.equal(await source.findById(id), null, id.slice(0, 20))
    })

    test('says of a password whether it is that of the user, and of an empty one that it is not', async () => {
      const { id } = await ada()
      assert.equal(await source.verifyPassword(id, DIRECTORY_PASSWORD), 'matches')
      for (const wrong of ['', ' ', '\0', `${DIRECTORY_PASSWORD} `, '\uD800', 'x'.repeat(5000)])
        assert.equal(await source.verifyPassword(id, wrong), 'wrong', JSON.stringify(wrong.slice(0, 20)))
      for (const unknown of ['nobody', '', '*'])
        assert.equal(await source.verifyPassword(unknown, DIRECTORY_PASSWORD), 'wrong', unknown)
    })

    test('has a status for every id that it is asked about', async () => {
      const { id } = await ada()
      const asked = [id, id, 'nobody', '', '*']
      assert.deepEqual(
        [...(await source.statusesOf(asked))].toSorted(),
        [[id, 'active'], ...['nobody', '', '*'].map((each) => [each, 'gone'])].toSorted(),
      )
      assert.equal((await source.statusesOf([])).size, 0)
    })

    test('takes a new password by its own rules', async () => {
      const grace = await source.findByLogin('grace')
      assert.ok(grace !== null && source.setPassword !== null)
      assert.equal((await source.setPassword(grace.id, 'short')).kind, 'refused')
      assert.deepEqual(await source.setPassword(grace.id, 'ships and Bügs, 1947'), { kind: 'changed' })
      assert.equal(await source.verifyPassword(grace.id, DIRECTORY_PASSWORD), 'wrong')
      assert.equal(await source.verifyPassword(grace.id, 'ships and Bügs, 1947'), 'matches')
    })

    test('knows nothing while it is down', async () => {
      const { id } = await ada()
      await running.stop()
      for (const asked of [
        source.findByLogin('ada'),
        source.findById(id),
        source.verifyPassword(id, DIRECTORY_PASSWORD),
        source.statusesOf([id]),
      ])
        await assert.rejects(asked, SourceUnavailable)
    })
  })

async function startLdap(): Promise<Running> {
  const directory = await startDirectory(await authority.issue('localhost'))
  return {
    settings: {
      url: `ldaps://localhost:${directory.tlsPort}/${BASE}`,
      secret: PORTAL.password,
      ldap: {
        bindDn: PORTAL.dn,
        userFilter: null,
        idAttribute: null,
        attributes: {},
        roleGroups: [],
        ca: authority.cert,
        startsTls: false,
        setsPasswords: true,
      },
    },
    stop: directory.stop,
  }
}

/** The example for authors of such services. */
async function startUserService(): Promise<Running> {
  const folder = await makeTemporaryFolder('user-service')
  const port = await findFreePort()
  const secret = 'a secret of thirty-two characters'
  const service = spawn(process.execPath, [join(import.meta.dirname, '../../examples/user-service/server.ts')], {
    env: {
      PATH: process.env['PATH'],
      PORT: String(port),
      DATABASE: join(folder.path, 'users.sqlite'),
      IDENTITY_SOURCE_SECRET: secret,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(service.stdout, 'data')
  const settings = { url: `http://127.0.0.1:${port}`, secret, ldap: null }
  const source = await opened(settings)
  for (const username of ['ada', 'grace'])
    await source.create?.({ username, email: `${username}@example.com`, password: DIRECTORY_PASSWORD })
  await source.close()
  return { settings, stop: async () => endOnce(service, folder.remove) }
}

async function endOnce(service: ChildProcess, clean: () => Promise<void>): Promise<void> {
  if (service.exitCode === null && service.signalCode === null) {
    service.kill()
    await once(service, 'exit')
  }
  await clean()
}

/** What it can do is known: over HTTP it is asked in the background. */
async function opened(settings: SourceSettings): Promise<IdentitySource> {
  const source = await openIdentitySource(settings, {
    logger: createLogger('silent'),
    metrics: new Metrics(),
    clock: () => new Date(),
  })
  assert.ok(source !== null)
  while (source.setPassword === null) await new Promise((resolve) => setTimeout(resolve, 10))
  return source
}
