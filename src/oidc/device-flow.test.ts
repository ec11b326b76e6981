import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { disableApp, findApp } from '../domain/apps/apps.ts'
import { disableIdentity } from '../domain/identities/identities.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp, televisionApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock, type TestClock } from '../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { addTotp } from '../testing/portal/factors.ts'
import { actionOf, type Page, readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { codeOf } from '../testing/portal/totp.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
const SCREEN = { 'user-agent': 'TV/2.1', 'x-forwarded-for': '198.51.100.7' }
const WRONG = 'This code is not valid. Check it, or let your device show a new one.'

interface DeviceCodes {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  expires_in: number
  interval: number
}

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`devices (${kind})`, () => {
    let database: TestDatabase
    let clock: TestClock
    let server: TestServer
    let television: Client
    let person: typeof ada
    let people = 0
    let phone: Browser

    before(async () => {
      clock = createClock()
      database = await createDatabase(kind)
      server = await startTestServer({ database, clock, env: { TRUST_PROXY: 'true' } })
      await server.addIdentity(grace)
      await server.addApp('tv', televisionApp)
      await server.addApp('radio', { ...televisionApp, name: 'Radio' })
      await server.addApp('photos', photosApp)
      television = new Client(server.url, 'tv', null, '')
    })
    after(async () => {
      await server.close()
      await database.drop()
    })
    beforeEach(async () => {
      clock.advance(3600)
      person = { ...ada, username: `ada-${++people}`, email: `ada-${people}@example.test` }
      await server.addIdentity(person)
      phone = new Browser(server.url)
      await phone.signIn(person)
    })

    async function ask(fields: Record<string, string> = {}, client = television): Promise<DeviceCodes> {
      const response = await client.send('/oauth/device', { scope: 'openid profile email', ...fields }, SCREEN)
      assert.equal(response.status, 200, await response.clone().text())
      return (await response.json()) as DeviceCodes
    }

    async function poll({ device_code: code }: DeviceCodes, client = television): Promise<Response> {
      return client.send('/oauth/token', { grant_type: GRANT, device_code: code })
    }

    async function errorOf(response: Response): Promise<unknown> {
      return ((await response.json()) as { error?: string }).error
    }

    async function reasonOf(response: Response): Promise<unknown> {
      return ((await response.json()) as { reason?: string }).reason
    }

    async function open({ user_code: code }: Pick<DeviceCodes, 'user_code'>, browser = phone): Promise<Page> {
      return readPage(await browser.get(`/device?user_code=${encodeURIComponent(code)}`))
    }

    async function press(page: Page, button: string, browser = phone): Promise<Page> {
      return readPage(await browser.post(actionOf(page, button), {}))
    }

    async function connect(codes?: DeviceCodes): Promise<Tokens> {
      const asked = codes ?? (await ask())
      await press(await open(asked), 'Allow')
      return tokensIn(await poll(asked))
    }

    test('discovery names the endpoint and the grant, and a device gets its codes', async () => {
      const discovery = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as Record<
        string,
        unknown
      >
      assert.equal(discovery['device_authorization_endpoint'], `${server.url}/oauth/device`)
      assert.ok((discovery['grant_types_supported'] as string[]).includes(GRANT))
      const codes = await ask()
      assert.match(codes.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
      assert.equal(codes.verification_uri, `${server.url}/device`)
      assert.equal(codes.verification_uri_complete, `${server.url}/device?user_code=${codes.user_code}`)
      assert.deepEqual([codes.expires_in, codes.interval], [600, 5])
      assert.equal(await errorOf(await poll(codes)), 'authorization_pending')
    })

    test('the page asks to sign in, says what asks from where, and a device gets the tokens of who allowed it', async () => {
      const codes = await ask()
      const stranger = new Browser(server.url)
      const { location } = Object.fromEntries((await stranger.get(`/device?user_code=${codes.user_code}`)).headers)
      assert.equal(location, `/login?return_to=${encodeURIComponent(`/device?user_code=${codes.user_code}`)}`)

      const page = await open(codes)
      assert.equal(page.heading, 'Connect Television on your device?')
      assert.match(page.text, new RegExp(`signed in as ${person.username}`))
      assert.match(page.text, new RegExp(codes.user_code))
      assert.match(page.text, /TV\/2\.1, 198\.51\.100\.7/)
      assert.match(page.text, /your user name.*your e-mail address/)
      assert.match(page.text, /Only continue if you started this on a device of your own\./)
      // The link alone approves nothing.
      assert.equal(await errorOf(await poll(codes)), 'authorization_pending')

      const answered = await press(page, 'Allow')
      assert.equal(answered.heading, 'Your device is connected')
      const tokens = await tokensIn(await poll(codes))
      const idToken = claimsOf(tokens.id_token)
      assert.deepEqual([idToken['preferred_username'], idToken['nonce']], [person.username, undefined])
      const token = claimsOf(tokens.access_token)
      assert.deepEqual(
        [token['aud'], token['client_id'], token['acr'], tokens.scope],
        ['https://television.example.test/api', 'tv', 'aal1', 'openid profile email'],
      )
      assert.equal(token['auth_time'], Math.floor(clock().getTime() / 1000))
      assert.equal((await television.userinfo(tokens.access_token)).status, 200)
      assert.equal((await television.introspect(tokens.access_token))['active'], true)

      const dashboard = await readPage(await phone.get('/dashboard'))
      assert.match(dashboard.text, /A device \(TV\/2\.1\) 198\.51\.100\.7/)
      assert.doesNotMatch(dashboard.text, /This browser/)
    })

    test('a code is typed in any case, with or without the dash, spaces and look-alike signs', async () => {
      const { user_code: code } = await ask()
      const [first, second] = code.split('-') as [string, string]
      for (const typed of [
        code,
        code.toLowerCase(),
        first + second,
        `${first} ${second}`,
        ` ${first}–${second}\t`,
        [...code.toLowerCase()].join(' '),
        code.replaceAll(/[A-Z]/g, (letter) => String.fromCodePoint((letter.codePointAt(0) as number) + 0xfee0)),
      ])
        assert.equal((await open({ user_code: typed })).heading, 'Connect Television on your device?', typed)
    })

    test('a wrong, used, refused or expired code, one of a disabled app and one of no use read the same', async () => {
      const used = await ask()
      await connect(used)
      const refused = await ask()
      await press(await open(refused), 'Deny')
      const expired = await ask()
      clock.advance(600)
      const codes = [used, refused, expired].map(({ user_code: code }) => code)
      for (const code of [...codes, 'BBBB-BBBB', '', ' ', 'a', 'AEIO-UAEI', '\0', 'B'.repeat(10_000)]) {
        clock.advance(3600)
        const page = await open({ user_code: code })
        assert.deepEqual([page.status, page.problems, page.heading], [422, [WRONG], 'Connect a device'], code)
        for (const act of ['approval', 'denial', 'second-factor']) {
          clock.advance(3600)
          const path = `/device/${act}?user_code=${encodeURIComponent(code)}`
          const answer = await readPage(await phone.post(path, { code: '1' }))
          assert.deepEqual([answer.status, answer.problems], [422, [WRONG]], `${act} ${code}`)
        }
      }
      clock.advance(3600)
      const repeated = await readPage(await phone.get('/device?user_code=BBBB-BBBB&user_code=BBBB-BBBC'))
      assert.equal(repeated.status, 422)
    })

    test('a device that asks too fast is slowed down, five seconds more each time, and still gets its tokens', async () => {
      const codes = await ask()
      const answers: unknown[] = []
      for (const seconds of [0, 5, 1, 5, 10, 15, 15]) {
        clock.advance(seconds)
        answers.push(await errorOf(await poll(codes)))
      }
      // Ten seconds after the first reminder, fifteen after the second.
      assert.deepEqual(answers, [
        'authorization_pending',
        'authorization_pending',
        'slow_down',
        'slow_down',
        'slow_down',
        'slow_down',
        'slow_down',
      ])
      clock.advance(30)
      assert.equal(await errorOf(await poll(codes)), 'authorization_pending')
      await press(await open(codes), 'Allow')
      assert.equal((await poll(codes)).status, 200)
    })

    test('a refused device reads access_denied, an expired one expired_token, and all others invalid_grant', async () => {
      const refused = await ask()
      assert.equal((await press(await open(refused), 'Deny')).heading, 'Your device is not connected')
      assert.equal(await errorOf(await poll(refused)), 'access_denied')
      const expired = await ask()
      clock.advance(600)
      assert.equal(await errorOf(await poll(expired)), 'expired_token')
      const radio = new Client(server.url, 'radio', null, '')
      const codes = await ask()
      assert.equal(await errorOf(await poll(codes, radio)), 'invalid_grant')
      await press(await open(codes), 'Allow')
      assert.equal(await errorOf(await poll(codes, radio)), 'invalid_grant')
      await tokensIn(await poll(codes))
      assert.equal(await errorOf(await poll(codes)), 'invalid_grant')
      for (const code of ['nothing', codes.user_code, '\0', 'x'.repeat(10_000)])
        assert.equal(await errorOf(await poll({ ...codes, device_code: code })), 'invalid_grant', code.slice(0, 20))
      for (const fields of [{}, { device_code: '' }] as Record<string, string>[])
        assert.equal(
          await errorOf(await television.send('/oauth/token', { grant_type: GRANT, ...fields })),
          'invalid_request',
        )
    })

    test('of any number of requests for one approval, one is answered, and its family lives', async () => {
      const codes = await ask()
      await press(await open(codes), 'Allow')
      const answers = await Promise.all(Array.from({ length: 6 }, () => poll(codes)))
      const [won, ...others] = answers.filter(({ status }) => status === 200)
      assert.deepEqual(others, [])
      for (const lost of answers.filter((each) => each !== won)) assert.equal(await errorOf(lost), 'invalid_grant')
      const tokens = await tokensIn(won as Response)
      assert.equal(await errorOf(await poll(codes)), 'invalid_grant')
      assert.equal((await television.refresh(tokens.refresh_token)).status, 200)
    })

    test('of two people who allow the same device at once, one has done it', async () => {
      const codes = await ask()
      const other = new Browser(server.url)
      await other.signIn(grace)
      const pages = [await open(codes), await open(codes, other)] as const
      const answers = await Promise.all([press(pages[0], 'Allow'), press(pages[1], 'Allow', other)])
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 422])
      const winner = answers[0].status === 200 ? person.username : grace.username
      assert.equal(claimsOf((await tokensIn(await poll(codes))).id_token)['preferred_username'], winner)
    })

    test('signing out of the browser that allowed it, here or from elsewhere, does not end the device', async () => {
      const codes = await ask()
      await press(await open(codes), 'Allow')
      await phone.post('/logout', {})
      const tokens = await tokensIn(await poll(codes))
      const next = await tokensIn(await television.refresh(tokens.refresh_token))
      clock.advance(60)
      await phone.signIn(person)
      await phone.post('/logout', {})
      assert.equal((await television.refresh(next.refresh_token)).status, 200)
    })

    for (const [what, bringAbout] of [
      ['everywhere', (browser: Browser) => browser.post('/logout', { everywhere: 'yes' })],
      ['everywhere else', (browser: Browser) => browser.post('/sessions/revocation', {})],
      [
        'with a new password',
        (browser: Browser) =>
          browser.post('/settings/password', {
            current_password: ada.password,
            password: 'a difference engine of pewter',
            password_confirmation: 'a difference engine of pewter',
          }),
      ],
    ] as const)
      test(`signing out ${what} ends the device, and an approval that it has not used`, async () => {
        const tokens = await connect()
        const codes = await ask()
        await press(await open(codes), 'Allow')
        assert.equal((await bringAbout(phone)).status, 303)
        assert.equal(await reasonOf(await television.refresh(tokens.refresh_token)), 'revoked')
        assert.equal(await errorOf(await poll(codes)), 'invalid_grant')
      })

    test('the user ends a device on the dashboard, and a disabled identity or app is never let in', async () => {
      const tokens = await connect()
      const fam = claimsOf(tokens.access_token)['fam'] as string
      assert.match((await readPage(await phone.get(`/families/${fam}`))).text, /A device \(TV\/2\.1\)/)
      await phone.post(`/families/${fam}/revocation`, {})
      assert.equal(await reasonOf(await television.refresh(tokens.refresh_token)), 'revoked')

      const codes = await ask()
      await press(await open(codes), 'Allow')
      const { sub } = claimsOf(tokens.id_token)
      await disableIdentity(server.services, sub as string)
      assert.equal(await errorOf(await poll(codes)), 'invalid_grant')
    })

    test('a device whose app is disabled reads that, and so does its user', async () => {
      await server.addApp('old', { ...televisionApp, name: 'Old' })
      const old = new Client(server.url, 'old', null, '')
      const codes = await ask({}, old)
      const page = await open(codes)
      await disableApp(server.services, (await findApp(server.services, 'old')) ?? assert.fail())
      assert.deepEqual((await open(codes)).problems, [WRONG])
      assert.deepEqual((await press(page, 'Allow')).problems, [WRONG])
      assert.equal(await errorOf(await poll(codes, old)), 'invalid_client')
    })

    test('an app that asks for two factors, or a recent sign-in, gets them first', async () => {
      const elsewhere = new Browser(server.url)
      await elsewhere.signIn(person)
      const { key } = await addTotp(elsewhere, clock())
      clock.advance(60)
      const codes = await ask({ acr_values: 'mfa' })
      const page = await open(codes)
      assert.equal(page.heading, 'Two-step verification')
      assert.match(page.text, /Television asks for two-step verification/)
      // Being asked is not being let in.
      await phone.post(`/device/approval?user_code=${codes.user_code}`, {})
      assert.equal(await errorOf(await poll(codes)), 'authorization_pending')
      const form = page.forms.find(({ fields }) => 'code' in fields) ?? assert.fail()
      assert.equal((await phone.post(form.action, { code: '000000' })).status, 401)
      const { url, response } = await phone.follow(await phone.post(form.action, { code: codeOf(key, clock()) }))
      assert.match(url, /\/device\?user_code=/)
      await press(await readPage(response), 'Allow')
      clock.advance(30)
      assert.equal(claimsOf((await tokensIn(await poll(codes))).access_token)['acr'], 'mfa')

      clock.advance(600)
      const recent = await ask({ max_age: '60' })
      const answer = await phone.get(`/device?user_code=${recent.user_code}`)
      assert.match(answer.headers.get('location') ?? '', /^\/reauthentication\?return_to=%2Fdevice/)
    })

    test('who refuses an app that asks for more lets it know', async () => {
      const codes = await ask({ acr_values: 'mfa' })
      const page = await open(codes)
      assert.equal(page.heading, 'Two-step verification is needed')
      await press(page, 'Cancel')
      assert.equal(await errorOf(await poll(codes)), 'access_denied')
    })

    test('bad requests of devices get their standard errors, and store nothing', async () => {
      const notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), '')
      const cases: [string, Record<string, string>, Client, number, string][] = [
        ['an app that is no device', {}, new Client(server.url, 'photos', null, ''), 400, 'unauthorized_client'],
        ['a confidential app', {}, notes, 400, 'unauthorized_client'],
        ['an unknown app', {}, new Client(server.url, 'nobody', null, ''), 401, 'invalid_client'],
        ['no app', {}, new Client(server.url, '', null, ''), 400, 'invalid_request'],
        ['an id with NUL', {}, new Client(server.url, 'a\0b', null, ''), 401, 'invalid_client'],
        ['a scope of a wrong form', { scope: 'open\u0000id' }, television, 400, 'invalid_scope'],
        ['an unknown resource', { resource: 'https://other.example.test' }, television, 400, 'invalid_target'],
        ['claims that are no JSON', { claims: '{' }, television, 400, 'invalid_request'],
        [
          'acr values of a wrong type',
          { claims: '{"id_token":{"acr":{"values":"mfa"}}}' },
          television,
          400,
          'invalid_request',
        ],
        ['a max_age that is no number', { max_age: 'soon' }, television, 400, 'invalid_request'],
        ['a request that is too long', { login_hint: 'x'.repeat(20_000) }, television, 400, 'invalid_request'],
      ]
      for (const [what, fields, client, status, error] of cases) {
        clock.advance(600)
        const response = await client.send('/oauth/device', { scope: 'openid', ...fields }, SCREEN)
        assert.deepEqual([response.status, await errorOf(response)], [status, error], what)
      }
      assert.equal((await fetch(`${server.url}/oauth/device`)).status, 404)
      const repeated = await fetch(`${server.url}/oauth/device`, {
        method: 'POST',
        body: new URLSearchParams('client_id=tv&scope=openid&scope=openid'),
      })
      assert.equal(await errorOf(repeated), 'invalid_request')
      for (const [client, error] of [
        [new Client(server.url, 'photos', null, ''), 'unauthorized_client'],
        [notes, 'unauthorized_client'],
      ] as const)
        assert.equal(await errorOf(await poll(await ask(), client)), error)
    })

    test('an app that has only devices gets no authorization in a browser', async () => {
      const response = await phone.get(
        television.authorizeUrl({ redirect_uri: 'https://television.example.test/callback' }),
      )
      assert.equal(response.status, 400)
    })
  })

test('guessing is slowed down, and right codes in between reset nothing', async () => {
  const server = await startTestServer({ env: { LOGIN_ATTEMPTS_BEFORE_DELAY: '5' } })
  try {
    await server.addIdentity(ada)
    await server.addApp('tv', televisionApp)
    const television = new Client(server.url, 'tv', null, '')
    const own = (await (await television.send('/oauth/device', {})).json()) as DeviceCodes
    const phone = new Browser(server.url)
    await phone.signIn(ada)
    const statuses: number[] = []
    for (let tries = 0; tries < 6; tries++) {
      statuses.push((await phone.get('/device?user_code=BBBB-BBBB')).status)
      if (tries < 5) assert.equal((await phone.get(`/device?user_code=${own.user_code}`)).status, 200)
    }
    // One more passes, and begins the first delay.
    assert.deepEqual(statuses, [422, 422, 422, 422, 422, 422])
    const held = await phone.get(`/device?user_code=${own.user_code}`)
    assert.equal(held.status, 429)
    assert.ok(Number(held.headers.get('retry-after')) > 0)
    const page = await readPage(held)
    assert.match(page.text, /Enter the code that your device shows/)
    assert.equal((await phone.post(`/device/approval?user_code=${own.user_code}`, {})).status, 429)
  } finally {
    await server.close()
  }
})
