import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Attribute, Change, Client } from 'ldapts'
import { type IdentitySource, SourceUnavailable } from '../../domain/identity-source.ts'
import { createLogger } from '../../logger.ts'
import { type Authority, createAuthority } from '../../testing/network/authority.ts'
import { ldapResult, startFalseDirectory } from '../../testing/network/false-directory.ts'
import { standBefore } from '../../testing/network/outage.ts'
import { createClock } from '../../testing/portal/clock.ts'
import {
  BASE,
  DIRECTORY_PASSWORD,
  personOf,
  PORTAL,
  startDirectory,
  startLikeActiveDirectory,
} from '../../testing/services/directories.ts'
import type { Slapd } from '../../testing/services/slapd.ts'
import { Connection } from './connection.ts'
import type { LdapSettings } from './ldap-settings.ts'
import { openLdapSource } from './ldap-source.ts'
import { verdictOf } from './password-verdicts.ts'

const CROWD = 10_000
const PEOPLE = `ou=people,${BASE}`
const ADMINS = `cn=admins,ou=groups,${BASE}`
const LIMITS = { connection: 5000, answer: 20_000 }

const opened: IdentitySource[] = []
let authority: Authority
let openLdap: Slapd
let windows: Slapd

before(async () => {
  authority = await createAuthority()
  const certificate = await authority.issue('localhost')
  ;[openLdap, windows] = await Promise.all([
    startDirectory(certificate, { crowd: CROWD }),
    startLikeActiveDirectory(certificate, { database: 'sizelimit 20' }),
  ])
  await asAdmin(openLdap, async (admin) => {
    await admin.add(ADMINS, { objectClass: 'groupOfNames', cn: 'admins', member: `uid=ada,${PEOPLE}` })
    await admin.add(`cn=mail,ou=groups,${BASE}`, {
      objectClass: 'posixGroup',
      cn: 'mail',
      gidNumber: '7',
      memberUid: ['grace', 'user1'],
    })
  })
})

after(async () => {
  await Promise.all(opened.map(async (source) => source.close()))
  await Promise.all([openLdap, windows].map(async (server) => server.stop()))
  await authority.remove()
})

describe('a user of the directory', () => {
  test('is found by user name and by e-mail address, over TLS, with claims and the roles of their groups', async () => {
    const source = open({
      attributes: { nickname: 'cn' },
      roleGroups: [
        // The directory compares DNs, in which case and spaces say nothing.
        { role: 'admin', group: `CN=Admins, ou=groups, ${BASE}` },
        { role: 'postmaster', group: `cn=mail,ou=groups,${BASE}` },
        { role: 'nothing', group: `cn=none,ou=groups,${BASE}` },
      ],
    })
    const ada = await source.findByLogin('ada')
    assert.deepEqual(ada, {
      id: ada?.id,
      username: 'ada',
      email: 'ada@example.com',
      emailVerified: true,
      status: 'active',
      claims: { name: 'Ada Lovelace', given_name: 'Ada', family_name: 'Lovelace', nickname: 'Ada Lovelace' },
      roles: ['admin'],
    })
    assert.match(ada.id, /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
    assert.deepEqual(await source.findByLogin('ADA@example.com'), ada)
    assert.deepEqual(await source.findById(ada.id), ada)
    assert.deepEqual((await source.findByLogin('grace'))?.roles, ['postmaster'])
    assert.equal(await source.findById('none'), null)
  })

  test('is found over STARTTLS', async () => {
    const source = open({ url: `ldap://localhost:${openLdap.port}/${BASE}`, startsTls: true })
    assert.equal((await source.findByLogin('grace'))?.username, 'grace')
  })

  test('has the password that the directory lets them bind with, and never an empty one', async () => {
    const source = open()
    const { id } = await found(source, 'ada')
    assert.equal(await source.verifyPassword(id, DIRECTORY_PASSWORD), 'matches')
    for (const wrong of ['', ' ', '\0', `${DIRECTORY_PASSWORD}\0`, DIRECTORY_PASSWORD.toUpperCase(), 'ü'.repeat(5000)])
      assert.equal(await source.verifyPassword(id, wrong), 'wrong', JSON.stringify(wrong))
    assert.equal(await source.verifyPassword('none', DIRECTORY_PASSWORD), 'wrong')
    assert.equal(await source.verifyPassword('', DIRECTORY_PASSWORD), 'wrong')
    // This directory takes a bind without a password for an anonymous one that succeeds.
    const client = new Client({ url: `ldap://127.0.0.1:${openLdap.port}` })
    await client.bind(`uid=ada,${PEOPLE}`, '')
    void client.unbind().catch(() => undefined)
    const connection = await Connection.open(settings({}), LIMITS)
    await assert.rejects(connection.bind(`uid=ada,${PEOPLE}`, ''), /anonymous/)
    connection.close()
  })

  test('is not found by what means something in a filter', async () => {
    const source = open()
    for (const login of [
      '*',
      'ad*',
      'ada)(uid=*',
      'ada)(|(uid=*',
      '*)(objectClass=*',
      String.raw`\2a`,
      String.raw`ada\00`,
      'ada\0',
      'ada\uD800',
      '(ada)',
      '&',
      '!(uid=grace)',
      '{login}',
      '$&',
      'a'.repeat(100_000),
      '',
    ])
      assert.equal(await source.findByLogin(login), null, login.slice(0, 40))
    for (const id of ['*', '*)(uid=*', '\0', 'a'.repeat(100_000)]) assert.equal(await source.findById(id), null)
  })

  test('may have a name with letters of any script, and with what means something in a filter', async () => {
    await asAdmin(openLdap, async (admin) => {
      for (const uid of ['jürgen', '李小龍', 'a*(b)'])
        await admin.add(`cn=${uid},${PEOPLE}`, {
          objectClass: 'inetOrgPerson',
          uid,
          cn: uid,
          sn: uid,
          mail: `${Buffer.from(uid).toString('hex')}@example.com`,
        })
    })
    const source = open()
    for (const uid of ['jürgen', '李小龍', 'a*(b)']) assert.equal((await found(source, uid)).username, uid)
    assert.equal(await source.verifyPassword((await found(source, 'jürgen')).id, 'anything'), 'wrong')
  })

  test('is found by their own name alone, where the directory would take another for it', async () => {
    // To slapd, several spaces are one (RFC 4518 §2.6.1); to Active Directory, à is a.
    await asAdmin(openLdap, async (admin) =>
      admin.add(`cn=two words,${PEOPLE}`, {
        objectClass: 'inetOrgPerson',
        uid: 'two words',
        cn: 'two words',
        sn: 'words',
        mail: 'two.words@example.com',
      }),
    )
    const source = open()
    assert.equal((await found(source, 'Two Words')).username, 'two words')
    const { searchEntries } = await asAdmin(openLdap, async (admin) =>
      admin.search(PEOPLE, { filter: '(uid=two  words)' }),
    )
    assert.equal(searchEntries.length, 1)
    assert.equal(await source.findByLogin('two  words'), null)
    const byDomain = open({ userFilter: '(mail={login}@example.com)' })
    assert.equal((await found(byDomain, 'two.words')).username, 'two words')
    const byBeginning = open({ userFilter: '(mail={login}@*)' })
    assert.equal((await found(byBeginning, 'two.words')).username, 'two words')
  })

  test('keeps their id when they get another name', async () => {
    const source = open()
    await addPerson('mary')
    const { id } = await found(source, 'mary')
    await asAdmin(openLdap, async (admin) => admin.modifyDN(`uid=mary,${PEOPLE}`, 'uid=mary.somerville'))
    assert.equal((await found(source, 'mary.somerville')).id, id)
    assert.equal(await source.findByLogin('mary'), null)
    assert.equal(await source.verifyPassword(id, DIRECTORY_PASSWORD), 'matches')
  })

  test('is no one where two entries match, and the log names both', async () => {
    const lines: string[] = []
    const source = open({}, { lines })
    await addPerson('twin1', 'mail: twins@example.com')
    await addPerson('twin2', 'mail: twins@example.com')
    assert.equal(await source.findByLogin('twins@example.com'), null)
    assert.match(lines.join(''), /uid=twin1.*uid=twin2/)
    assert.equal((await found(source, 'twin1')).username, 'twin1')
  })

  test('without an address is no user', async () => {
    await asAdmin(openLdap, async (admin) =>
      admin.add(`uid=nomail,${PEOPLE}`, { objectClass: 'inetOrgPerson', uid: 'nomail', cn: 'nomail', sn: 'nomail' }),
    )
    assert.equal(await open().findByLogin('nomail'), null)
    assert.equal((await found(open({ attributes: { email: 'uid' } }), 'nomail')).email, 'nomail')
  })

  test('outside the filter of the operator is gone', async () => {
    const { id } = await found(open(), 'grace')
    const source = open({ userFilter: `(&(uid={login})(memberOf=${ADMINS}))` })
    assert.equal(await source.findByLogin('grace'), null)
    assert.equal(await source.verifyPassword(id, DIRECTORY_PASSWORD), 'wrong')
    const ada = await found(source, 'ada')
    assert.deepEqual(Object.fromEntries(await source.statusesOf([id, ada.id])), { [id]: 'gone', [ada.id]: 'active' })
  })

  test('is not looked for with a filter that is none: the portal does not start', () => {
    for (const userFilter of ['(&(uid={login})(mail))', '(&(uid={login})x)', '(?(uid={login}))'])
      assert.throws(() => open({ userFilter }), /LDAP_USER_FILTER/, userFilter)
  })

  test('is disabled where an operator has locked them for good, and not by wrong passwords', async () => {
    const source = open()
    await addPerson('locked')
    await addPerson('guessed')
    const [locked, guessed] = [await found(source, 'locked'), await found(source, 'guessed')]
    await change(openLdap, `uid=locked,${PEOPLE}`, 'pwdAccountLockedTime', '000001010000Z')
    await change(openLdap, `uid=guessed,${PEOPLE}`, 'pwdAccountLockedTime', '20261130120000Z')
    assert.equal((await found(source, 'locked')).status, 'disabled')
    assert.equal((await found(source, 'guessed')).status, 'active')
    await asAdmin(openLdap, async (admin) => admin.del(`uid=guessed,${PEOPLE}`))
    assert.deepEqual(Object.fromEntries(await source.statusesOf([locked.id, guessed.id])), {
      [locked.id]: 'disabled',
      [guessed.id]: 'gone',
    })
  })

  test('whose password was reset has to replace it, which only those who know it learn', async () => {
    const source = open({ setsPasswords: true })
    await addPerson('reset')
    const { id } = await found(source, 'reset')
    await change(openLdap, `uid=reset,${PEOPLE}`, 'pwdReset', 'TRUE')
    assert.equal(await source.verifyPassword(id, DIRECTORY_PASSWORD), 'expired')
    assert.equal(await source.verifyPassword(id, 'not this'), 'wrong')
  })

  test('gets another password by the rules of the directory, where the operator allows it', async () => {
    assert.equal(open().setPassword, null)
    const source = open({ setsPasswords: true })
    await addPerson('changing')
    const { id } = await found(source, 'changing')
    const set = source.setPassword as NonNullable<IdentitySource['setPassword']>
    assert.deepEqual(await set(id, 'short'), { kind: 'refused', reason: 'Password fails quality checking policy' })
    assert.equal((await set(id, '')).kind, 'refused')
    assert.equal((await set('none', 'long enough, ünd more')).kind, 'refused')
    assert.deepEqual(await set(id, 'long enough, ünd more'), { kind: 'changed' })
    assert.equal(await source.verifyPassword(id, DIRECTORY_PASSWORD), 'wrong')
    assert.equal(await source.verifyPassword(id, 'long enough, ünd more'), 'matches')
  })
})

describe('Active Directory, by its names', () => {
  test('ids are texts of GUIDs, with the first parts turned round', async () => {
    const source = openWindows()
    const ada = await found(source, 'ada@corp.example.com')
    assert.equal(ada.id, '03020100-0504-0706-0809-0a0b0c0d0e0f')
    assert.deepEqual(await source.findById(ada.id.toUpperCase()), ada)
    assert.equal(await source.verifyPassword(ada.id, DIRECTORY_PASSWORD), 'matches')
    assert.equal(await source.findById('ada'), null)
    assert.equal((await found(source, 'grace')).status, 'disabled')
  })

  test('an account expires at its time', async () => {
    const clock = createClock()
    const source = openWindows({}, { clock })
    const { id } = await found(source, 'ada')
    const inAnHour = BigInt(clock().getTime() + 3_600_000 - Date.UTC(1601)) * 10_000n
    await change(windows, `cn=ada,${PEOPLE}`, 'accountExpires', String(inAnHour))
    assert.equal((await source.statusesOf([id])).get(id), 'active')
    clock.advance(3601)
    assert.equal((await source.statusesOf([id])).get(id), 'disabled')
    await change(windows, `cn=ada,${PEOPLE}`, 'accountExpires', '0')
    assert.equal((await source.statusesOf([id])).get(id), 'active')
  })

  test('a list that the directory cuts off is asked for in parts, so that no one seems to be gone', async () => {
    const ids = Array.from({ length: 90 }, (_, n) => n)
    await asAdmin(windows, async (admin) => {
      for (const n of ids)
        await admin.add(`cn=w${n},${PEOPLE}`, [
          ...Object.entries({ objectClass: 'user', objectCategory: 'person', sn: 'w', sAMAccountName: `w${n}` }).map(
            ([type, value]) => new Attribute({ type, values: [value] }),
          ),
          new Attribute({ type: 'objectGUID', values: [Buffer.alloc(16, n)] }),
        ])
    })
    const guids = ids.map((n) =>
      n
        .toString(16)
        .padStart(2, '0')
        .repeat(16)
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    )
    const statuses = await openWindows().statusesOf([...guids, 'no guid'])
    assert.deepEqual(
      guids.filter((id) => statuses.get(id) !== 'active'),
      [],
    )
    assert.equal(statuses.get('no guid'), 'gone')
  })

  test('a new password is written in quotation marks, in UTF-16', async () => {
    const source = openWindows({ setsPasswords: true })
    const { id } = await found(source, 'ada')
    assert.deepEqual(await source.setPassword?.(id, 'Zürich 1'), { kind: 'changed' })
    const written = await asAdmin(windows, async (admin) => {
      const { searchEntries } = await admin.search(`cn=ada,${PEOPLE}`, {
        scope: 'base',
        attributes: ['unicodePwd'],
        explicitBufferAttributes: ['unicodePwd'],
      })
      return searchEntries[0]?.['unicodePwd'] as Buffer
    })
    assert.equal(written.toString('utf16le'), '"Zürich 1"')
  })

  test('its words for an expired password are understood', async () => {
    for (const [code, verdict] of [
      ['532', 'expired'],
      ['773', 'expired'],
      ['52e', 'wrong'],
      ['775', 'wrong'],
    ] as const) {
      const server = await startFalseDirectory((question) =>
        ldapResult(
          question,
          49,
          `80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data ${code}, v4563`,
        ),
      )
      const connection = await Connection.open(settings({ url: `ldap://127.0.0.1:${server.port}/${BASE}` }), LIMITS)
      assert.equal(await verdictOf(connection, `cn=ada,${BASE}`, 'password'), verdict)
      connection.close()
      await server.close()
    }
  })
})

describe('a large directory', () => {
  test('answers for all of its users, and for a hundred sign-ins at once', async () => {
    const source = open()
    const ids = await asAdmin(openLdap, async (admin) => {
      const { searchEntries } = await admin.search(PEOPLE, {
        filter: '(uid=user*)',
        attributes: ['entryUUID'],
        paged: { pageSize: 500 },
      })
      return searchEntries.map((entry) => entry['entryUUID'] as string)
    })
    assert.equal(ids.length, CROWD)
    const statuses = await source.statusesOf([...ids, 'none'])
    assert.equal(statuses.size, CROWD + 1)
    assert.deepEqual(
      ids.filter((id) => statuses.get(id) !== 'active'),
      [],
    )
    assert.equal(statuses.get('none'), 'gone')

    const names = await Promise.all(Array.from({ length: 100 }, async (_, n) => found(source, `user${n * 100}`)))
    assert.deepEqual(
      names.map(({ username }) => username),
      names.map((_, n) => `user${n * 100}`),
    )
  })
})

describe('a directory that cannot be trusted or asked', () => {
  test('with a certificate of another authority, or for another name, gets no password', async () => {
    const url = `ldap://127.0.0.1:${openLdap.port}/${BASE}`
    for (const wrong of [
      { ca: null },
      { url: `ldaps://127.0.0.1:${openLdap.tlsPort}/${BASE}` },
      { url, startsTls: true },
      { url: `ldap://localhost:${openLdap.port}/${BASE}`, startsTls: true, ca: null },
    ])
      await assert.rejects(open(wrong).findByLogin('ada'), (error: Error) => {
        assert.ok(error instanceof SourceUnavailable)
        return /certificate|altnames/i.test((error.cause as Error).message)
      })
    assert.equal((await found(open({ url }), 'ada')).username, 'ada')
  })

  test('that refuses the account of the portal, or has no such base, knows nothing of its users', async () => {
    for (const wrong of [{ password: 'wrong' }, { url: urlOf(openLdap, 'dc=example,dc=org') }]) {
      await rejectsAsUnavailable(open(wrong).findByLogin('ada'))
      await rejectsAsUnavailable(open(wrong).statusesOf(['any']))
      await rejectsAsUnavailable(open(wrong).verifyPassword('any', 'password'))
    }
  })

  test('is asked again once it is back, after it was killed and after it hung', async () => {
    const clock = createClock()
    const proxy = await standBefore(`tcp://127.0.0.1:${openLdap.port}`)
    const port = new URL(proxy.url).port
    const source = open(
      { url: `ldap://127.0.0.1:${port}/${BASE}` },
      { clock, limits: { connection: 20_000, answer: 300 } },
    )
    const { id } = await found(source, 'ada')
    proxy.hang()
    await rejectsAsUnavailable(source.verifyPassword(id, DIRECTORY_PASSWORD))
    assert.ok(proxy.swallowed() > 0)
    await proxy.restore()
    assert.equal(await open().verifyPassword(id, DIRECTORY_PASSWORD), 'matches')

    const direct = open({}, { clock })
    await Promise.all(Array.from({ length: 4 }, async () => found(direct, 'ada')))
    await openLdap.kill()
    for (let n = 0; n < 6; n++) await rejectsAsUnavailable(direct.findByLogin('ada'))
    await rejectsAsUnavailable(direct.statusesOf([id]))
    await openLdap.start()
    // The breaker is open until its pause is over, by the clock of the portal.
    await assert.rejects(direct.findByLogin('ada'), /is not asked/)
    assert.equal((await direct.statusesOf([id])).get(id), 'active')
    clock.advance(3)
    assert.equal((await found(direct, 'ada')).id, id)

    // The kept connections have ended meanwhile; no one notices.
    await openLdap.kill()
    await openLdap.start()
    assert.equal((await found(direct, 'ada')).id, id)
    assert.equal((await found(open({ url: `ldap://127.0.0.1:${port}/${BASE}` }), 'ada')).id, id)
    await proxy.close()
  })

  test('may answer what it wants: the portal goes on', async () => {
    const tiny = Buffer.from([0x30, 5, 2, 1, 2, 0x73, 0])
    const answers: Record<string, (question: { id: number; operation: number }) => Buffer> = {
      'a referral': (question) => ldapResult(question, 10),
      'no LDAP': () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      'ten megabytes': () =>
        Buffer.concat([Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(10_000_000)]),
      'a million small messages': () => Buffer.concat(Array.from({ length: 1_000_000 }, () => tiny)),
      'success without an entry': (question) => ldapResult(question, 0),
    }
    for (const [name, answer] of Object.entries(answers)) {
      const server = await startFalseDirectory(answer)
      const source = open(
        { url: `ldap://127.0.0.1:${server.port}/${BASE}` },
        { limits: { connection: 20_000, answer: 500 } },
      )
      await rejectsAsUnavailable(source.statusesOf(['any']), name)
      await source.close()
      await server.close()
    }
  })
})

interface Around {
  clock?: () => Date
  limits?: { connection: number; answer: number }
  lines?: string[]
}

function open(changed: Partial<LdapSettings> = {}, around: Around = {}): IdentitySource {
  const { clock = () => new Date(), limits = LIMITS, lines = [] } = around
  const logger = createLogger('info', { write: (line: string) => void lines.push(line) })
  const source = openLdapSource(settings(changed), { logger, clock }, limits)
  opened.push(source)
  return source
}

function openWindows(changed: Partial<LdapSettings> = {}, around: Around = {}): IdentitySource {
  return open({ url: urlOf(windows, BASE), ...changed }, around)
}

function settings(changed: Partial<LdapSettings>): LdapSettings {
  return {
    url: urlOf(openLdap, BASE),
    bindDn: PORTAL.dn,
    password: PORTAL.password,
    userFilter: null,
    idAttribute: null,
    attributes: {},
    roleGroups: [],
    ca: authority.cert,
    startsTls: false,
    setsPasswords: false,
    ...changed,
  }
}

function urlOf({ tlsPort }: Slapd, base: string): string {
  return `ldaps://localhost:${tlsPort}/${base}`
}

async function found(source: IdentitySource, login: string) {
  const user = await source.findByLogin(login)
  assert.ok(user !== null, login)
  return user
}

async function rejectsAsUnavailable(asked: Promise<unknown>, name = ''): Promise<void> {
  await assert.rejects(asked, SourceUnavailable, name)
}

async function addPerson(uid: string, more = ''): Promise<void> {
  const lines = personOf(uid, uid, uid, more)
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(': ') as [string, string])
  const values = Map.groupBy(lines, ([type]) => type)
  await asAdmin(openLdap, async (admin) =>
    admin.add(
      `uid=${uid},${PEOPLE}`,
      Object.fromEntries([...values].map(([type, each]) => [type, each.map(([, value]) => value)])),
    ),
  )
}

async function change(server: Slapd, dn: string, type: string, value: string): Promise<void> {
  const modification = new Attribute({ type, values: [value] })
  await asAdmin(server, async (admin) => admin.modify(dn, new Change({ operation: 'replace', modification })))
}

async function asAdmin<Answer>({ port, admin }: Slapd, act: (client: Client) => Promise<Answer>): Promise<Answer> {
  const client = new Client({ url: `ldap://127.0.0.1:${port}`, timeout: 20_000, connectTimeout: 20_000 })
  try {
    await client.bind(admin.dn, admin.password)
    return await act(client)
  } finally {
    // Not waited for: ldapts may miss the end of a connection that it asks to end.
    void client.unbind().catch(() => undefined)
  }
}
