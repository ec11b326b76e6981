import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { message } from '../../i18n/messages.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { connect, home, refresh, refusalIn } from '../../testing/portal/connections.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { createApp } from '../apps/apps.ts'
import {
  disableIdentity,
  enableIdentity,
  findIdentity,
  findIdentityByLogin,
  listIdentities,
  register,
  type Registration,
  type RegistrationProblems,
  revokeEverything,
} from './identities.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { findLivingIdentitySession, openIdentitySession } from '../sign-in/identity-sessions.ts'
import { signIn } from '../sign-in/sign-in.ts'
import { fillSkeletons } from './user-names.ts'

let portal: TestPortal
let adaId: string

before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
  adaId = await registered(ada)
})
after(() => portal.close())

test('a registration makes an account with no roles and an unconfirmed e-mail address', async () => {
  const identity = await findIdentity(portal, adaId)
  assert.equal(identity?.username, 'ada')
  assert.equal(identity.email, ada.email)
  assert.equal(identity.emailVerified, false)
  assert.deepEqual(identity.roles, [])
  assert.deepEqual(identity.createdAt, portal.clock())
  assert.equal(identity.passwordHash.includes(ada.password), false)
})

test('an operator may give roles and vouch for the e-mail address', async () => {
  const extra = { roles: ['admin', 'editor'], emailVerified: true }
  const outcome = await register(portal, person('operated'), null, extra)
  assert.equal(outcome.kind, 'registered')
  const identity = await findIdentityByLogin(portal, 'operated')
  assert.deepEqual(identity?.roles, ['admin', 'editor'])
  assert.equal(identity.emailVerified, true)
  const all = { state: null, role: null, groupId: null, after: null, limit: 10 }
  const { identities } = await listIdentities(portal, { ...all, prefix: 'OPERAT' })
  assert.deepEqual(identities, [identity])
})

test('a registration is audited with its client, and without one when an operator does it', async () => {
  const here = await registered(person('placed'), home)
  assert.deepEqual(await audit(here), [{ kind: 'registered', browser: home.browser, address: home.address }])
  const operated = await registered(person('unplaced'))
  assert.deepEqual(await audit(operated), [{ kind: 'registered', browser: null, address: null }])
})

test('a user name that looks like one that is taken is refused, also for an operator', async () => {
  await registered(person('scope'))
  for (const username of ['ѕсоре', 'SC0PE', 'sc0pe']) {
    for (const clientInfo of [home, null]) {
      const outcome = await register(portal, { ...person('unused'), username }, clientInfo)
      assert.equal(outcome.kind, 'refused', username)
      assert.deepEqual(outcome.problems, { username: message('user_name.alike') })
    }
  }
})

test('of registrations of names that look alike at once exactly one gets it', async () => {
  const names = ['pauline', 'pauIine', 'pau1ine', 'PAULINE', 'paulıne']
  const outcomes = await Promise.all(
    names.map((username, index) => register(portal, { ...person(`pauline${index}`), username }, home)),
  )
  assert.equal(outcomes.filter(({ kind }) => kind === 'registered').length, 1)
})

test('names that visibly differ in i and l are names of two users', async () => {
  for (const username of ['Neil', 'Nell', 'Elia', 'Ella', 'Delia', 'Della']) await registered(person(username))
  for (const [index, username] of ['NeiI', 'nei1', 'NELL', 'DeIia', 'ıan', 'Ian'].entries()) {
    const outcome = await register(portal, { ...person(`imitator${index}`), username }, home)
    assert.equal(outcome.kind, username === 'ıan' ? 'registered' : 'refused', username)
  }
})

test('names that looked alike before go on, and no new one joins them', async () => {
  const { pool } = portal.storage
  const older = await registered(person('karla'))
  portal.clock.advance(1)
  const younger = await registered(person('another'))
  await pool.query('DELETE FROM user_name_skeletons')
  await pool.query('UPDATE identities SET has_skeletons = false')
  await pool.query("UPDATE identities SET username = 'kar1a', username_key = 'kar1a' WHERE id = $1", [younger])

  await fillSkeletons(portal)
  const { rows } = await pool.query<{ id: string; skeleton: string }>(
    'SELECT identity_id AS id, skeleton FROM user_name_skeletons WHERE identity_id = ANY ($1::uuid[])',
    [[older, younger, adaId]],
  )
  assert.deepEqual(
    new Map(rows.map(({ id, skeleton }) => [id, skeleton])),
    new Map([
      [older, 'karla'],
      [adaId, 'ada'],
    ]),
  )
  assert.equal(await fillSkeletons(portal), 0)

  assert.equal((await findIdentityByLogin(portal, 'kar1a'))?.id, younger)
  const third = await register(portal, person('karIa'), home)
  assert.equal(third.kind, 'refused')
})

test('an account is found by its user name and by its e-mail address, in any spelling', async () => {
  for (const login of ['ada', 'ADA', ' Ada ', 'ａｄａ', ada.email, 'ADA@Example.TEST', `\t${ada.email}\n`]) {
    assert.equal((await findIdentityByLogin(portal, login))?.id, adaId, login)
  }
  for (const login of [
    '',
    ' ',
    'ad',
    'adaa',
    'ada@',
    '@example.test',
    'a da',
    `${ada.email}.`,
    "ada' OR '1'='1",
    '%',
  ]) {
    assert.equal(await findIdentityByLogin(portal, login), null, login)
  }
})

test('two spellings of one name have one key', () => {
  assert.equal(loginKeyOf('  ÅSA '), loginKeyOf('åsa'))
  assert.equal(loginKeyOf('A\u030asa'), loginKeyOf('Åsa'))
  assert.equal(loginKeyOf('ﬁona'), 'fiona')
  assert.notEqual(loginKeyOf('asa'), loginKeyOf('åsa'))
})

for (const [what, change, field] of [
  ['the same user name', { username: 'ada' }, 'username'],
  ['the same user name in capitals', { username: 'ADA' }, 'username'],
  ['the same user name in wide letters', { username: 'ａｄａ' }, 'username'],
  ['the same address', { email: ada.email }, 'email'],
  ['the same address in capitals', { email: ada.email.toUpperCase() }, 'email'],
] as const) {
  test(`an operator cannot give another user ${what}`, async () => {
    const outcome = await register(portal, { ...person('somebody'), ...change }, null)
    const words = {
      username: message('user_name.taken'),
      email: message('email.taken'),
    }
    assert.deepEqual('problems' in outcome && outcome.problems, { [field]: words[field] })
  })
}

test('of ten registrations of one name at once exactly one gets it, and the others are told', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, async (_, index) =>
      register(portal, { ...person('wanted'), email: `wanted${index}@example.test` }, null),
    ),
  )
  assert.equal(outcomes.filter(({ kind }) => kind === 'registered').length, 1)
  for (const outcome of outcomes.filter((each) => each.kind === 'refused')) {
    assert.deepEqual(outcome.problems, { username: message('user_name.taken') })
  }
})

test('registering an e-mail address of another account gives an account, and the address stays (no account enumeration)', async () => {
  const id = await registered({ ...person('second'), email: ada.email.toUpperCase() }, home)
  const identity = await findIdentity(portal, id)
  assert.deepEqual(
    [identity?.email, identity?.emailKey, identity?.emailVerified],
    [ada.email.toUpperCase(), null, false],
  )
  assert.equal((await findIdentityByLogin(portal, ada.email))?.id, adaId)
  const session = await openIdentitySession(portal, { identityId: id, amr: ['pwd'] }, home, null)
  assert.equal((await findLivingIdentitySession(portal, session as string, home))?.email, ada.email.toUpperCase())
})

test('of registrations of one e-mail address at once exactly one holds it, and each has an account', async () => {
  const ids = await Promise.all(
    Array.from({ length: 10 }, async (_, index) =>
      registered({ ...person(`rival${index}`), email: 'rivals@example.test' }, home),
    ),
  )
  const rivals = await Promise.all(ids.map(async (id) => findIdentity(portal, id)))
  assert.equal(rivals.filter((rival) => rival?.emailKey === 'rivals@example.test').length, 1)
  assert.equal(rivals.filter((rival) => rival?.emailKey === null).length, 9)
})

test('a mail asks a user who registers to confirm; a user that an operator adds gets none', async () => {
  const id = await registered(person('mailed'), home)
  const operated = await registered(person('unmailed'))
  const asked = (await queuedMails(portal)).flatMap((mail) => ('identityId' in mail ? [mail.identityId] : []))
  assert.deepEqual([asked.includes(id), asked.includes(operated)], [true, false])
})

for (const [what, change, fields] of [
  ['a user name of one letter', { username: 'a' }, ['username']],
  ['a user name of 65 letters', { username: 'a'.repeat(65) }, ['username']],
  ['a user name that is an address', { username: 'ada@example.test' }, ['username']],
  ['a user name that begins with a dot', { username: '.ada' }, ['username']],
  ['a user name with a space', { username: 'ada l' }, ['username']],
  ['a user name with a tag', { username: '<b>ada</b>' }, ['username']],
  ['a user name with NUL', { username: 'ad\0a' }, ['username']],
  ['a user name that runs backwards', { username: 'ad\u202ea' }, ['username']],
  ['an invisible user name', { username: '\u200b\u200b' }, ['username']],
  ['no user name', { username: '' }, ['username']],
  ['no address', { email: '' }, ['email']],
  ['an address without a host', { email: 'ada' }, ['email']],
  ['an address with a line break', { email: 'ada@example.test\nBcc: grace@example.test' }, ['email']],
  ['two addresses', { email: 'ada@example.test, grace@example.test' }, ['email']],
  ['an address of 255 characters', { email: `${'a'.repeat(242)}@example.test` }, ['email']],
  ['a short password', { password: 'short' }, ['password']],
  ['the own name as a password', { username: 'lovelace', password: 'lovelacelovelace' }, ['password']],
  ['nothing', { username: '', email: '', password: '' }, ['username', 'email', 'password']],
] as const) {
  test(`${what} is refused`, async () => {
    const outcome = await register(portal, { ...person('refused'), ...change }, null)
    assert.equal(outcome.kind, 'refused')
    const { problems } = outcome as { problems: RegistrationProblems }
    assert.deepEqual(Object.keys(problems), fields)
    assert.equal(await findIdentityByLogin(portal, 'refused'), null)
  })
}

for (const [index, username] of ['al', 'Åsa', 'x-1.y_z', '李小龍', 'ñandú', '0day', 'a'.repeat(64)].entries()) {
  test(`${username.slice(0, 10)} is a user name`, async () => {
    const outcome = await register(portal, { ...person(`name${index}`), username }, null)
    assert.equal(outcome.kind, 'registered', JSON.stringify(outcome))
  })
}

test('the right password signs in, by user name or e-mail address; anything else does not, and does not say why', async () => {
  for (const login of ['ada', ' ADA ', ada.email]) {
    const outcome = await signIn(portal, { login: login, password: ada.password, clientInfo: home, deviceHash: null })
    assert.equal(outcome.kind, 'signed-in')
    assert.equal((outcome as { identity: { id: string } }).identity.id, adaId)
  }
  for (const [login, password] of [
    ['ada', grace.password],
    ['ada', ''],
    ['ada', 'x'.repeat(100_000)],
    ['nobody', ada.password],
    ['', ''],
  ] as const) {
    assert.deepEqual(await signIn(portal, { login: login, password: password, clientInfo: home, deviceHash: null }), {
      kind: 'wrong-credentials',
      ipBlock: null,
    })
  }
})

test('a wrong password is written down for the person it was tried on', async () => {
  const id = await registered(person('tried'))
  await signIn(portal, { login: 'tried', password: 'not the password', clientInfo: home, deviceHash: null })
  assert.deepEqual((await audit(id)).at(-1), { kind: 'sign_in_refused', browser: home.browser, address: home.address })
})

test('a hash of weaker parameters is made anew at the next sign-in', async () => {
  const id = await registered(person('old-hash'))
  const weak = '$argon2id$v=19$m=8192,t=2,p=1$'
  const { default: argon2 } = await import('argon2')
  const passwordHash = await argon2.hash(ada.password, { memoryCost: 8192, timeCost: 2, parallelism: 1 })
  assert.ok(passwordHash.startsWith(weak.slice(0, 15)))
  await (await portal.storage.prisma()).identity.update({ where: { id }, data: { passwordHash } })

  await signIn(portal, { login: 'old-hash', password: grace.password, clientInfo: home, deviceHash: null })
  assert.equal((await findIdentity(portal, id))?.passwordHash, passwordHash)
  await signIn(portal, { login: 'old-hash', password: ada.password, clientInfo: home, deviceHash: null })
  const renewed = (await findIdentity(portal, id))?.passwordHash as string
  assert.equal(portal.hasher.needsRehash(renewed), false)
  assert.equal(
    (await signIn(portal, { login: 'old-hash', password: ada.password, clientInfo: home, deviceHash: null })).kind,
    'signed-in',
  )
})

test('a disabled person is out everywhere at once, cannot sign in, and comes back to nothing', async () => {
  const id = await registered(person('disabled'))
  const notes = await connect(portal, id, 'notes')
  const offline = await connect(portal, id, 'notes', { scope: 'openid offline_access' })
  await disableIdentity(portal, id)
  assert.deepEqual(
    await signIn(portal, { login: 'disabled', password: ada.password, clientInfo: home, deviceHash: null }),
    {
      kind: 'wrong-credentials',
      ipBlock: null,
    },
  )
  assert.equal(await findLivingIdentitySession(portal, notes.identitySessionId, home), null)
  for (const each of [notes, offline]) assert.equal(refusalIn(await refresh(portal, each)).reason, 'identity_disabled')

  await enableIdentity(portal, id)
  assert.equal(
    (await signIn(portal, { login: 'disabled', password: ada.password, clientInfo: home, deviceHash: null })).kind,
    'signed-in',
  )
  assert.equal(await findLivingIdentitySession(portal, notes.identitySessionId, home), null)
  for (const each of [notes, offline]) assert.equal(refusalIn(await refresh(portal, each)).reason, 'identity_disabled')
  const kinds = (await audit(id)).map(({ kind }) => kind)
  assert.ok(kinds.includes('identity_disabled') && kinds.includes('identity_enabled'))
})

test('an operator can sign a person out of everything; they may sign in again', async () => {
  const id = await registered(person('revoked'))
  const offline = await connect(portal, id, 'notes', { scope: 'openid offline_access' })
  const ofAda = await connect(portal, adaId, 'notes')
  await revokeEverything(portal, id)
  assert.equal(refusalIn(await refresh(portal, offline)).reason, 'revoked')
  assert.equal(await findLivingIdentitySession(portal, offline.identitySessionId, home), null)
  assert.equal(
    (await signIn(portal, { login: 'revoked', password: ada.password, clientInfo: home, deviceHash: null })).kind,
    'signed-in',
  )
  assert.equal((await refresh(portal, ofAda)).kind, 'rotated')
})

function person(username: string): Registration {
  return { username, email: `${username}@example.test`, password: ada.password }
}

async function registered(registration: Registration, clientInfo: typeof home | null = null): Promise<string> {
  const outcome = await register(portal, registration, clientInfo)
  return outcome.kind === 'registered' ? outcome.identity.id : assert.fail(JSON.stringify(outcome.problems))
}

async function audit(identityId: string): Promise<{ kind: string; browser: string | null; address: string | null }[]> {
  const result = await portal.storage.pool.query<{ kind: string; browser: string | null; address: string | null }>(
    'SELECT kind, browser, address FROM audit_events WHERE identity_id = $1 ORDER BY id',
    [identityId],
  )
  return result.rows
}
