import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, decodeJwt } from 'jose'
import { mintApplicationToken } from '../../src/domain/families/application-tokens.ts'
import { type AppRow, disableApp, enableApp, findApp } from '../../src/domain/apps/apps.ts'
import { endFamilies } from '../../src/domain/endings/endings.ts'
import { changeRoles } from '../../src/domain/identities/identities.ts'
import { notesApp, robotService } from '../../src/testing/portal/apps.ts'
import { type Connection, connect, home, refresh, successorIn } from '../../src/testing/portal/connections.ts'
import { ada } from '../../src/testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../src/testing/portal/server.ts'
import { Revocations, type VerifiedToken } from './revocations.ts'

let portal: TestServer
let adaId: string
let revocations: Revocations

before(async () => {
  portal = await startTestServer()
  adaId = await portal.addIdentity(ada)
  await portal.addApp('notes', notesApp)
  const keys = createRemoteJWKSet(new URL(`${portal.url}/oauth/jwks`))
  const url = `${portal.url}/oauth/revocations`
  revocations = new Revocations(async () => ({ url, issuer: portal.url, keys }))
})
after(() => portal.close())

/** The next application token of a family, as the API reads it. */
async function nextToken(connection: Connection): Promise<VerifiedToken> {
  const rotation = await refresh(portal.services, connection)
  connection.refreshToken = successorIn(rotation)
  assert.equal(rotation.kind, 'rotated')
  return decodeJwt((await mintApplicationToken(portal.services, rotation, null, null)).token)
}

test('the API tells tokens before and after each change of roles apart, in whatever second they are issued', async () => {
  const connection = await connect(portal.services, adaId, 'notes')
  let last = await nextToken(connection)
  await revocations.hear()
  assert.equal(revocations.standingOf(last), 'good')
  for (const roles of [['editor'], ['auditor'], []]) {
    await changeRoles(portal.services, adaId, roles)
    const next = await nextToken(connection)
    await revocations.hear()
    assert.deepEqual(
      [last, next].map((token) => revocations.standingOf(token)),
      ['stale', 'good'],
    )
    last = next
  }

  // As it was issued before tokens had a version.
  const { claims_version: _version, ...old } = last
  assert.equal(revocations.standingOf({ ...old, iat: old.iat - 3600 }), 'stale')
  assert.equal(revocations.standingOf({ ...old, iat: old.iat + 3600 }), 'good')

  await endFamilies(portal.services, { id: connection.familyId }, 'ended_by_person', home)
  await revocations.hear()
  assert.equal(revocations.standingOf(last), 'ended')
})

test('the API refuses every token of an app that was disabled, with and without a family, and those it acted for', async () => {
  const connection = await connect(portal.services, adaId, 'notes')
  const own = await nextToken(connection)
  await portal.addApp('robot', robotService)
  const { client_id: _id, fam: _fam, ...rest } = own
  const ofService = { ...rest, client_id: 'robot' }
  const derived = { ...own, client_id: 'calendar', act: { sub: 'calendar', act: { sub: 'robot' } } }
  for (const token of [own, ofService, derived]) assert.equal(revocations.standingOf(token), 'good')

  const robot = (await findApp(portal.services, 'robot')) as AppRow
  await disableApp(portal.services, robot)
  await revocations.hear()
  assert.equal(revocations.standingOf(own), 'good')
  for (const token of [ofService, derived]) assert.equal(revocations.standingOf(token), 'disabled app')

  await enableApp(portal.services, robot)
  await revocations.hear()
  for (const token of [ofService, derived]) {
    assert.equal(revocations.standingOf(token), 'disabled app')
    assert.equal(revocations.standingOf({ ...token, iat: token.iat + 3600 }), 'good')
  }
})
