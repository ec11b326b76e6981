import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { Message } from '../../i18n/messages.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { createPasswordJudge, type JudgeSettings, type PasswordJudge } from './password-judge.ts'

const failures: Error[] = []
const opened: PasswordJudge[] = []

function open(policy: Partial<JudgeSettings['policy']> = {}, program?: URL): PasswordJudge {
  const judge = createPasswordJudge({
    policy: { passwordLength: 15, passwordLengthWithSecondFactor: 8, passwordRangeUrl: null, ...policy },
    publicUrl: 'https://id.lighthouse.test:8443',
    organisation: 'Harbour Board',
    onError: (error) => failures.push(error),
    ...(program === undefined ? {} : { limits: { program } }),
  })
  opened.push(judge)
  return judge
}
after(() => Promise.all(opened.map((judge) => judge.close())))

const standard = open()
const personal = ['ada', 'lovelace@example.test']

const inWords = (problem: Message | null) => problem && englishTexts().say(problem)

const WORDS = {
  good: null,
  short: 'Use at least 15 characters.',
  long: 'Use at most 200 characters.',
  personal: 'Use a password that is harder to guess from your name or address.',
  guessable: 'Use a password that is harder to guess.',
  stolen: 'Use another password: this one is on lists of stolen passwords.',
}

for (const [password, verdict] of [
  [ada.password, 'good'],
  [grace.password, 'good'],
  ['correct horse battery', 'good'],
  ['ピンクの象が五頭で森を静かに歩く', 'good'],
  ['🦊🐢🦉🐝🐙🦔🐳🦆🐌🦋🐞🐜🦂🕷🦀', 'good'],
  ['lovelace likes engines', 'good'],
  ['Lovelace-1234567', 'good'],
  ['', 'short'],
  ['short', 'short'],
  ['fourteen chars', 'short'],
  ['🦊🦊🦊🦊🦊🦊🦊🦊', 'short'],
  ['fourteen charé'.normalize('NFD'), 'short'],
  ['fifteen characé'.normalize('NFD'), 'good'],
  ['x1y2z'.repeat(40), 'good'],
  [`${'x1y2z'.repeat(40)}a`, 'long'],
  ['🦊🐢🦉🐝🐙🦔🐳🦆🐌🦋'.repeat(20), 'good'],
  [`${'🦊🐢🦉🐝🐙🦔🐳🦆🐌🦋'.repeat(20)}🐞`, 'long'],
  ['lovelacelovelace', 'personal'],
  ['LOVELACElovelace1', 'personal'],
  ['ｌｏｖｅｌａｃｅlovelace', 'personal'],
  ['lovelace@example.test', 'personal'],
  ['gatehousegatehouse', 'personal'],
  ['harbourharbour12', 'personal'],
  ['Harbour Board 2026', 'personal'],
  ['id.lighthouse.test', 'personal'],
  ['Lighthouse-12345', 'personal'],
  ['aaaaaaaaaaaaaaaaaaaa', 'guessable'],
  ['abababababababab', 'guessable'],
  ['passwordpassword', 'guessable'],
  ['password1234567', 'guessable'],
  ['password1234567890', 'guessable'],
  ['Passwort!2024Passwort!', 'guessable'],
  ['12345678901234567890', 'guessable'],
  ['0123456789012345', 'guessable'],
  ['abcdefghijklmnopqrst', 'guessable'],
  ['1q2w3e4r5t6y7u8', 'guessable'],
  ['Summer2024Summer2024', 'guessable'],
  ['monkeydragonfootball', 'guessable'],
  ['qwertyuiopasdfghjkl', 'stolen'],
  ['p4ssw0rd'.repeat(25), 'guessable'],
  ['1qaz2wsx3edc4rfv', 'stolen'],
  ['PasswordStandard', 'stolen'],
  ['zQjphsyf6ctifgu', 'stolen'],
] as const) {
  test(`the password ${JSON.stringify(password.slice(0, 30))} of ${password.length} is ${verdict}`, async () => {
    const { problem, standsAlone } = await standard.judge(password, personal, false, 'home')
    assert.equal(inWords(problem), WORDS[verdict])
    assert.equal(standsAlone, verdict === 'good')
  })
}

for (const [password, problem, standsAlone] of [
  ['kx7!pQ2m', null, false],
  ['blue-fishes', null, false],
  [ada.password, null, true],
  // Long enough to stand alone, and yet too easy for it.
  ['sunshine13101984', null, false],
  ['kx7!pQ2', 'Use at least 8 characters.', false],
  ['umbrella', WORDS.stolen, false],
  ['lovelace7', WORDS.personal, false],
  ['99988877', WORDS.guessable, false],
] as const) {
  test(`beside a second factor ${JSON.stringify(password)} is ${problem === null ? 'enough' : 'refused'}`, async () => {
    const verdict = await standard.judge(password, personal, true, 'home')
    assert.equal(inWords(verdict.problem), problem)
    assert.equal(verdict.standsAlone, standsAlone)
  })
}

test('how long a password must be is the operator’s word', async () => {
  const lenient = open({ passwordLength: 10, passwordLengthWithSecondFactor: 9 })
  assert.equal(inWords((await lenient.judge('kx7!pQ2m_Z', personal, false, 'home')).problem), null)
  assert.equal(
    inWords((await lenient.judge('kx7!pQ2m_', personal, false, 'home')).problem),
    'Use at least 10 characters.',
  )
  assert.equal(inWords((await lenient.judge('kx7!pQ2m', personal, true, 'home')).problem), 'Use at least 9 characters.')
})

test('the strength that is shown does not contradict the refusal', async () => {
  const scoreOf = async (password: string) => (await standard.judge(password, personal, false, 'home')).score
  assert.equal(await scoreOf(ada.password), 4)
  assert.equal(await scoreOf('seven umbrella'), 2)
  assert.equal(await scoreOf('Passwort!2024Passwort!'), 1)
  assert.equal(await scoreOf('zQjphsyf6ctifgu'), 0)
  assert.equal(await scoreOf(''), null)
})

test('a weak password comes with advice that does not repeat itself or the password', async () => {
  const { advice } = await standard.judge('monkeydragonfootball', personal, false, 'home')
  assert.deepEqual(advice.map(inWords), ['Add a word or two that are less common.'])
})

test('while the estimator fails the other rules apply, and no password is refused for it', async () => {
  failures.length = 0
  const blind = open({}, new URL('data:text/javascript,throw new Error()'))
  assert.deepEqual(await blind.judge(ada.password, personal, false, 'home'), {
    problem: null,
    score: null,
    advice: [],
    standsAlone: true,
  })
  assert.equal(inWords((await blind.judge('password1234567', personal, false, 'home')).problem), WORDS.guessable)
  assert.equal(inWords((await blind.judge('1qaz2wsx3edc4rfv', personal, false, 'home')).problem), WORDS.stolen)
  assert.equal(inWords((await blind.judge('lovelacelovelace', personal, false, 'home')).problem), WORDS.personal)
  assert.equal(failures.length, 4)
})

test('a service that knows stolen passwords is asked about what is otherwise good, and about nothing else', async () => {
  const asked: string[] = []
  // It knows the end of one SHA-1, that of the seven umbrellas.
  const service = createServer((req, res) => {
    asked.push(req.url ?? '')
    res.end('F54DCA88BF83A3C48C7C1F79DF617607E73:3\n')
  })
  await once(service.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`
  const judge = open({ passwordRangeUrl: url })
  failures.length = 0

  assert.equal(
    inWords((await judge.judge('seven wet umbrellas in a row', personal, false, 'home')).problem),
    WORDS.stolen,
  )
  assert.equal(inWords((await judge.judge(ada.password, personal, false, 'home')).problem), null)
  assert.equal(inWords((await judge.judge('password1234567', personal, false, 'home')).problem), WORDS.guessable)
  assert.equal(asked.length, 2)

  service.closeAllConnections()
  service.close()
  assert.equal(inWords((await judge.judge('seven wet umbrellas in a row', personal, false, 'home')).problem), null)
  assert.deepEqual(
    failures.map(({ message }) => message),
    ['the service that knows stolen passwords gave no answer'],
  )
})
