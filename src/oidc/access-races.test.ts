import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { addAppRole, changeAppRoles } from '../domain/apps/app-roles.ts'
import { type AppRow, changeApp, findApp } from '../domain/apps/apps.ts'
import { parseRefreshToken } from '../domain/families/refresh-tokens.ts'
import { addMembers, createGroup, removeMembers } from '../domain/identities/groups.ts'
import { changeRoles } from '../domain/identities/identities.ts'
import { epochSeconds } from '../domain/time.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { connect } from '../testing/portal/connections.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const PEOPLE = 20
const CLIENTS_EACH = 10

let server: TestServer
let notes: Client
let people: string[]

before(async () => {
  server = await startTestServer()
  const app = { ...notesApp, access: 'assigned', allowedRoles: ['sales', 'board'] }
  notes = new Client(server.url, 'notes', await server.addApp('notes', app), 'https://notes.example.test/callback')
  await addAppRole(server.services, 'notes', 'clerk')
  people = await Promise.all(
    Array.from({ length: PEOPLE }, async (_, index) =>
      server.addIdentity({ username: `p${index}`, email: `p${index}@example.test`, password: 'one of many clients' }),
    ),
  )
})
after(() => server.close())

/** One client of a user that refreshes one family without a pause. */
interface Refreshing {
  /** When each token was issued (seconds), by generation. */
  issued: number[]
  /** Why the last refresh was refused; null while none was. */
  refusal: string | null
}

test('200 clients refresh while access is given and taken away: none gets a token afterwards, and no other one is refused', async () => {
  const { services } = server
  const group = await createGroup(services, { name: 'Field' })
  const app = async () => (await findApp(services, 'notes')) as AppRow
  await changeApp(services, await app(), { allowedGroups: [group.id] })

  /** How each kind of user gets access, and loses it; those who keep it have it in two ways, and lose and get one. */
  const ways = {
    role: [(id: string) => changeRoles(services, id, ['sales']), (id: string) => changeRoles(services, id, [])],
    group: [
      (id: string) => addMembers(services, group.id, [id]),
      (id: string) => removeMembers(services, group.id, [id]),
    ],
    appRole: [
      (id: string) => changeAppRoles(services, id, 'notes', ['clerk']),
      (id: string) => changeAppRoles(services, id, 'notes', []),
    ],
    list: [(id: string) => changeRoles(services, id, ['board']), async () => {}],
  } as const
  const kinds = Object.keys(ways) as (keyof typeof ways)[]
  const kindOf = (index: number) => kinds[index % kinds.length] as keyof typeof ways
  const keeps = (index: number) => index < PEOPLE / 2
  for (const [index, id] of people.entries()) {
    await ways[kindOf(index)][0](id)
    if (keeps(index)) await changeAppRoles(services, id, 'notes', ['clerk'])
    if (keeps(index)) await addMembers(services, group.id, [id])
  }

  let isOver = false
  const firsts: Promise<void>[] = []
  const refreshing = async (first: string): Promise<Refreshing> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    firsts.push(promise)
    let token = first
    const issued: number[] = []
    for (let generation = 1; !isOver; generation++) {
      const response = await notes.refresh(token)
      const answer = (await response.json()) as Tokens & { reason?: string; error?: string }
      resolve()
      if (response.status !== 200) return { issued, refusal: answer.reason ?? answer.error ?? 'unknown' }
      token = answer.refresh_token
      assert.equal(parseRefreshToken(token, services.secrets)?.generation, generation, 'the family has forked')
      issued.push(claimsOf(answer.access_token)['iat'] as number)
    }
    return { issued, refusal: null }
  }
  const tokens = await Promise.all(
    people.map((id) =>
      Promise.all(
        Array.from({ length: CLIENTS_EACH }, async () => (await connect(services, id, 'notes')).refreshToken),
      ),
    ),
  )
  const all = tokens.map((ofOne) => Promise.all(ofOne.map(refreshing)))
  await Promise.all(firsts)

  // Those who keep access lose one way to have it, and get it again, all the time.
  const changing = (async () => {
    while (!isOver)
      for (const [index, id] of people.entries()) {
        if (!keeps(index) || isOver) continue
        await removeMembers(services, group.id, [id])
        await addMembers(services, group.id, [id])
      }
  })()
  const withdrawn = new Map<number, number>()
  for (const [index, id] of people.entries()) {
    if (keeps(index) || kindOf(index) === 'list') continue
    await ways[kindOf(index)][1](id)
    withdrawn.set(index, epochSeconds(new Date()))
  }
  await changeApp(services, await app(), { allowedRoles: ['sales'] })
  for (const index of people.keys())
    if (!keeps(index) && kindOf(index) === 'list') withdrawn.set(index, epochSeconds(new Date()))
  for (const index of withdrawn.keys()) await all[index]
  isOver = true
  await changing

  for (const [index, clients] of (await Promise.all(all)).entries()) {
    const end = withdrawn.get(index)
    assert.equal(clients.length, CLIENTS_EACH)
    for (const { issued, refusal } of clients) {
      assert.ok(issued.length > 0)
      if (end === undefined) assert.equal(refusal, null, `user ${index}, by ${kindOf(index)}, was refused`)
      else {
        assert.equal(refusal, 'access_withdrawn', `user ${index}, by ${kindOf(index)}`)
        assert.ok(
          issued.every((at) => at <= end),
          `user ${index} got a token after ${end}: ${issued.join(' ')}`,
        )
      }
    }
  }
  const { rows } = await services.storage.pool.query(
    `SELECT count(*)::int AS count FROM families WHERE end_cause IS DISTINCT FROM 'access_withdrawn' AND ended_at IS NOT NULL`,
  )
  assert.deepEqual(rows, [{ count: 0 }])
})
