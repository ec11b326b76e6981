import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findIdentityByLogin } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { waitForMail } from '../../testing/mail/outbox.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

let server: TestServer

before(async () => {
  server = await startTestServer({ env: { REGISTRATIONS_PER_HOUR: '1000' } })
  await server.addIdentity(ada)
  await server.addIdentity({ ...ada, username: 'imogen', email: 'imogen@example.test' })
})
after(() => server.close())

function registration(change: Record<string, string> = {}): Record<string, string> {
  const password = change['password'] ?? 'seven wet umbrellas in a row'
  return { username: 'mary', email: 'mary@example.test', password, password_confirmation: password, ...change }
}

function register(change: Record<string, string> = {}, browser = new Browser(server.url)): Promise<Response> {
  return browser.post('/register', registration(change))
}

async function count(table: string): Promise<number> {
  const result = await server.services.storage.pool.query<{ count: number }>(`SELECT count(*)::int FROM ${table}`)
  return result.rows[0]?.count as number
}

test('who registers is signed in and led to the dashboard', async () => {
  const browser = new Browser(server.url)
  const response = await register({ username: 'joan', email: 'joan@example.test' }, browser)
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('location'), '/dashboard')
  const page = await readPage(await browser.get('/dashboard'))
  assert.equal(page.status, 200)
  assert.match(page.text, /No apps yet, joan/)
})

test('who registers on the way to an app goes on to it', async () => {
  const form = await readPage(
    await new Browser(server.url).get('/register?return_to=%2Foauth%2Fauthorize%3Fclient_id%3Dx'),
  )
  assert.equal(form.forms[0]?.fields['return_to'], '/oauth/authorize?client_id=x')
  const response = await register({
    username: 'klara',
    email: 'klara@example.test',
    return_to: '/oauth/authorize?client_id=x',
  })
  assert.equal(response.headers.get('location'), '/oauth/authorize?client_id=x')
})

for (const [how, username] of [
  ['at once', 'nora'],
  ['one after the other', 'olga'],
] as const) {
  test(`a form that is sent twice, ${how}, makes one account, and both answers lead to the same place`, async () => {
    const sent = { username, email: `${username}@example.test`, return_to: '/settings' }
    const before = await count('identities')
    const first = register(sent)
    if (how !== 'at once') await first
    const answers = await Promise.all([first, register(sent)])
    assert.deepEqual(
      answers.map((answer) => [answer.status, answer.headers.get('location')]),
      Array.from({ length: 2 }, () => [303, '/settings']),
    )
    assert.equal(await count('identities'), before + 1)
    // With another password it is another user's attempt, and the form says only what it says to all.
    const other = await register({ ...sent, password: 'nine dry parasols in a heap' })
    assert.equal(other.status, 422)
    assert.match((await readPage(other)).text, /user name/)
  })
}

const USERNAME = 'Use 2–64 letters, numbers, dots, hyphens or underscores. Start with a letter or number.'
const EMAIL = 'Enter an e-mail address like name@example.com.'
const SCRIPT = 'Use letters of one script only, such as Latin.'
const ALIKE = 'This user name looks like one that is taken. Choose another.'
const GUESSABLE = 'Use a password that is harder to guess from your name or address.'
const STOLEN = 'Use another password: this one is on lists of stolen passwords.'

const REFUSALS: [name: string, change: Record<string, string>, problems: string[]][] = [
  ['a user name of one letter', { username: 'm' }, [USERNAME]],
  ['a user name of 65 letters', { username: 'm'.repeat(65) }, [USERNAME]],
  ['a user name with a space', { username: 'mary ann' }, [USERNAME]],
  ['a user name that looks like an address', { username: 'mary@example' }, [USERNAME]],
  ['an empty user name', { username: '' }, [USERNAME]],
  ['an address without @', { email: 'mary.example.test' }, [EMAIL]],
  ['an address with a tag in it', { email: '"<script>"@example.test' }, [EMAIL]],
  ['an address of 300 characters', { email: `${'m'.repeat(288)}@example.test` }, [EMAIL]],
  ['a password of 14 characters', { password: 'seven umbrella' }, ['Use at least 15 characters.']],
  ['14 characters, though some take two code units', { password: '🌂'.repeat(14) }, ['Use at least 15 characters.']],
  ['a password of 201 characters', { password: 'seven '.repeat(34).slice(0, 201) }, ['Use at most 200 characters.']],
  ['one of the most used passwords', { password: 'password1234567' }, ['Use a password that is harder to guess.']],
  ['a run over the keyboard', { password: '1q2w3e4r5t6y7u8' }, ['Use a password that is harder to guess.']],
  ['a password that was stolen elsewhere', { password: 'lhbjkjubz2957704' }, [STOLEN]],
  ['one letter, often', { password: 'aaaaaaaaaaaaaaaaaaaa' }, ['Use a password that is harder to guess.']],
  ['the name of the portal', { password: 'GatehouseGatehouse' }, [GUESSABLE]],
  ['their own address as a password', { password: 'mary@example.test' }, [GUESSABLE]],
  [
    'two different passwords',
    { password_confirmation: 'seven dry umbrellas' },
    ['The two passwords are not the same.'],
  ],
  ['two faults', { username: '', email: '' }, [USERNAME, EMAIL]],
  ['a user name that is taken', { username: 'ADA' }, ['This user name is taken.']],
  ['a taken one in full-width letters', { username: 'ａｄａ' }, ['This user name is taken.']],
  ['a taken one with an invisible character', { username: 'a\u{34f}da' }, [USERNAME]],
  ['a taken one with a Cyrillic letter', { username: 'аda' }, [SCRIPT]],
  ['one that looks like a taken one', { username: 'irnogen' }, [ALIKE]],
  ['an address with a Cyrillic letter', { email: 'аda@example.test' }, [EMAIL]],
  ['an address in full-width letters', { email: 'ａｄａ@example.test' }, [EMAIL]],
  ['an address at a host with a Cyrillic letter', { email: 'ada@ехample.test' }, [EMAIL]],
]

for (const [name, change, problems] of REFUSALS) {
  test(`registering is refused for ${name}, and says so`, async () => {
    const before = await count('identities')
    const response = await register(change)
    assert.deepEqual(response.headers.getSetCookie(), [])
    const page = await readPage(response)
    assert.equal(page.status, 422)
    assert.deepEqual(page.problems, problems)
    assert.equal(await count('identities'), before)
  })
}

test('a refused form names everything that is wrong at once', async () => {
  const all = { username: 'ADA', email: 'nowhere', password: 'short', password_confirmation: 'shorter' }
  const page = await readPage(await register(all))
  assert.deepEqual(
    [page.status, page.problems],
    [422, ['This user name is taken.', EMAIL, 'Use at least 15 characters.', 'The two passwords are not the same.']],
  )
  assert.equal(page.title, 'Error: Create an account · Gatehouse')
})

test('an address at a host that only looks like another is shown in letters that tell them apart', async () => {
  const email = 'ada@xn--mple-43d9bzb.test'
  const browser = new Browser(server.url)
  assert.equal((await register({ username: 'punycode', email }, browser)).status, 303)
  assert.ok((await readPage(await browser.get('/settings'))).text.includes(email))
  assert.equal((await findIdentityByLogin(server.services, ada.email))?.username, 'ada')
})

test('an address is one and the same in Unicode and in Punycode, shown in letters, and mail reaches it', async () => {
  const browser = new Browser(server.url)
  const typed = '\u{feff}kyrill@Почта.рф\u{a0}\t'
  assert.equal((await register({ username: 'kyrill', email: typed }, browser)).status, 303)
  const stored = 'kyrill@xn--80a1acny.xn--p1ai'
  await waitForMail(server.mailFolder, stored, 'Confirm your address')
  assert.ok((await readPage(await browser.get('/settings'))).text.includes('kyrill@почта.рф'))
  for (const login of [
    'kyrill@почта.рф',
    'KYRILL@xn--80a1acny.XN--P1AI',
    ' ky\u{ad}rill\t',
    'kyrill@почта.рф\u{200b}',
  ]) {
    const answer = await new Browser(server.url).post('/login', {
      login,
      password: registration()['password'] as string,
    })
    assert.equal(answer.status, 303, JSON.stringify(login))
  }
})

for (const email of [
  'r&d@example.test',
  'a/b@example.test',
  'a\u{200b}da.l@example.test',
  `${'m'.repeat(64)}@example.test`,
]) {
  test(`an account can have the address ${JSON.stringify(email)}`, async () => {
    const username = `holder${email.charCodeAt(1)}`
    assert.equal((await register({ username, email })).status, 303)
    assert.equal((await findIdentityByLogin(server.services, email))?.username, username)
  })
}

test('registering the e-mail address of another user answers like registering any, and takes nothing from them', async () => {
  const answers = []
  for (const [username, email] of [
    ['free', 'free@example.test'],
    ['copy', 'Ada@EXAMPLE.test'],
  ] as const) {
    const before = (await queuedMails(server.services)).length
    const browser = new Browser(server.url)
    const response = await register({ username, email }, browser)
    const { date: _date, 'x-request-id': _id, 'set-cookie': _own, ...headers } = Object.fromEntries(response.headers)
    const cookies = (await browser.jar.getCookies(server.url)).map(({ key }) => key).toSorted()
    const pages = await Promise.all(['/dashboard', '/settings', '/activity'].map(async (path) => browser.get(path)))
    const texts = await Promise.all(pages.map(async (page) => (await readPage(page)).text))
    answers.push({
      status: response.status,
      headers,
      cookies,
      body: await response.text(),
      texts: texts.map((text) => text.replaceAll(email, 'ADDRESS').replaceAll(username, 'NAME')),
      mails: (await queuedMails(server.services)).slice(before).map(({ kind }) => kind),
    })
  }
  assert.deepEqual(answers[0], answers[1])
  assert.deepEqual(answers[0]?.mails, ['verify-address'])

  assert.equal((await findIdentityByLogin(server.services, ada.email))?.username, 'ada')
  await new Browser(server.url).signIn({ ...ada, username: ada.email })
  await new Browser(server.url).signIn({ username: 'copy', password: 'seven wet umbrellas in a row' })
})

test('of ten who register one address at once exactly one holds it, and all are answered alike', async () => {
  const answers = await Promise.all(
    Array.from({ length: 10 }, async (_, index) =>
      register({
        username: `crowd${index}`,
        email: index % 2 === 0 ? 'crowd@example.test' : 'Crowd@Example.test',
        password: `${index} wet umbrellas in a row`,
      }),
    ),
  )
  assert.deepEqual(
    answers.map(({ status, headers }) => [status, headers.get('location')]),
    answers.map(() => [303, '/dashboard']),
  )
  const { rows } = await server.services.storage.pool.query(
    "SELECT count(email_key)::int AS holders, count(*)::int AS everyone FROM identities WHERE lower(email) = 'crowd@example.test'",
  )
  assert.deepEqual(rows, [{ holders: 1, everyone: 10 }])
})

test('a refused form keeps what was typed, but never a password', async () => {
  const page = await readPage(await register({ username: 'mary ann', password: 'a canary in the mine' }))
  assert.deepEqual(page.forms[0]?.fields, {
    username: 'mary ann',
    email: 'mary@example.test',
    password: '',
    password_confirmation: '',
  })
  assert.equal(page.html.includes('canary'), false)
})

test('a refused form says how weak the password was, and asks for a good one again without praising the empty field', async () => {
  const weak = await readPage(await register({ password: 'monkeydragonfootball' }))
  assert.match(weak.html, /<meter id="password-strength" min="0" max="5" [^>]*value="2"><\/meter>/)
  assert.match(weak.text, /The password you entered is weak\. Add a word or two that are less common\./)
  assert.doesNotMatch(weak.html, /monkeydragon/)

  const others: Record<string, string>[] = [
    { username: 'mary ann' },
    { username: 'ADA' },
    { password_confirmation: 'seven dry umbrellas' },
  ]
  for (const change of others) {
    const page = await readPage(await register(change))
    assert.doesNotMatch(page.html, /strong|<meter/)
    assert.match(page.text, /Password Enter it again: for your security, this page does not keep passwords\./)
  }
})

test('an unsent form says nothing about strength', async () => {
  const { html } = await readPage(await new Browser(server.url).get('/register'))
  assert.doesNotMatch(html, /<meter|strength/)
})

test('a crowd with hostile passwords is answered, and holds up no other user', async () => {
  const crowd = Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      register({ password: `${index}${'a4@b8c({<d6e3f9g'.repeat(12)}`, email: '' }),
    ),
  )
  let answered = 0
  for (let isOver = false; !isOver;) {
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
    answered++
    isOver = await Promise.race([
      crowd.then(() => true),
      new Promise<boolean>((resolve) => setTimeout(resolve, 50, false)),
    ])
  }
  assert.deepEqual([...new Set((await crowd).map(({ status }) => status))], [422])
  assert.ok(answered > 1, `${answered} answers meanwhile`)
})

test('the operator says how long a password must be', async () => {
  const strict = await startTestServer({ env: { PASSWORD_LENGTH: '20' } })
  try {
    const browser = new Browser(strict.url)
    assert.match((await readPage(await browser.get('/register'))).text, /At least 20 characters\./)
    const { problems } = await readPage(await register({ password: 'nineteen characters' }, browser))
    assert.deepEqual(problems, ['Use at least 20 characters.'])
  } finally {
    await strict.close()
  }
})

test('a password may be of any characters, two hundred of them, in either composition', async () => {
  for (const [index, password] of ['🦊🐢🦉🐝🐙🦔🐳🦆🐌🦋'.repeat(20), ` ${'é à ü, '.repeat(28)}øß`].entries()) {
    const username = `any${index}`
    const sent = { username, email: `${username}@example.test`, password: password.normalize('NFC') }
    assert.equal((await register(sent)).status, 303)
    const login = { login: username, password: password.normalize('NFD') }
    assert.equal((await new Browser(server.url).post('/login', login)).status, 303)
  }
})

test('the form tells password managers what is what', async () => {
  const { html } = await readPage(await new Browser(server.url).get('/register'))
  assert.match(html, /name="username" type="text"[^>]* autocomplete="username"/)
  assert.equal(html.match(/type="password"[^>]* autocomplete="new-password"/g)?.length, 2)
})

for (const length of [15, 64, 72, 73, 128, 200]) {
  test(`a password of ${length} characters works, and its last character matters`, async () => {
    const password = `${'every one of these counts, '.repeat(8).slice(0, length - 1)}!`
    const username = `len${length}`
    assert.equal((await register({ username, email: `${username}@example.test`, password })).status, 303)
    const tryWith = (login: string) => new Browser(server.url).post('/login', { login: username, password: login })
    assert.equal((await tryWith(`${password.slice(0, -1)}?`)).status, 401)
    assert.equal((await tryWith(password)).status, 303)
  })
}

test('a form that one browser sends twice at the same moment makes one account and signs in there', async () => {
  const browser = new Browser(server.url)
  const twin = { username: 'twin', email: 'twin@example.test' }
  const answers = await Promise.all([register(twin, browser), register(twin, browser)])
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [303, 303],
  )
  assert.equal((await browser.get('/dashboard')).status, 200)
})

test('registering gives no role or a verified address, whatever else is sent', async () => {
  await register({
    username: 'mallory',
    email: 'mallory@example.test',
    roles: 'admin',
    role: 'admin',
    email_verified: 'true',
    emailVerified: 'true',
    id: '00000000-0000-4000-8000-000000000000',
    disabledAt: '',
  })
  const { rows } = await server.services.storage.pool.query<Record<string, unknown>>(
    "SELECT id, roles, email_verified FROM identities WHERE username_key = 'mallory'",
  )
  assert.deepEqual(rows[0]?.['roles'], [])
  assert.equal(rows[0]?.['email_verified'], false)
  assert.notEqual(rows[0]?.['id'], '00000000-0000-4000-8000-000000000000')
})

test('a fresh portal has no accounts of its own', async () => {
  for (const [login, password] of [
    ['admin', 'admin'],
    ['admin', 'password'],
    ['root', 'root'],
    ['gatehouse', 'gatehouse'],
  ] as const) {
    assert.equal((await new Browser(server.url).post('/login', { login, password })).status, 401)
  }
})
