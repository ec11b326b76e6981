import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ada } from '../../testing/portal/people.ts'
import { createStrengthEstimator, type EstimatorLimits, type StrengthEstimator } from './password-strength.ts'

const failures: string[] = []
const opened: StrengthEstimator[] = []

/** The machine may stall for seconds, which is no reason to give up where no test says when. */
function open(limits: EstimatorLimits = {}): StrengthEstimator {
  const patient = { timeout: 60_000, startTimeout: 60_000, ...limits }
  const estimator = createStrengthEstimator((error) => failures.push(error.message), patient)
  opened.push(estimator)
  return estimator
}
after(() => Promise.all(opened.map((estimator) => estimator.close())))

/** Answers with the number of questions it was asked so far, ends at one and never answers another. */
const moody = program(`
  let asked = 0
  parentPort.postMessage('ready')
  parentPort.on('message', ({ password }) => {
    if (password === 'stumble') throw new Error('stumbled over ' + password)
    while (password === 'ponder');
    parentPort.postMessage({ score: ++asked, advice: [] })
  })`)

function program(code: string): URL {
  return new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'\n${code}`)}`,
  )
}

test('a sentence is strong, and a common password is weak and comes with advice', async () => {
  const estimator = open()
  assert.deepEqual(await estimator.estimate(ada.password, [], 'home'), { score: 4, advice: [] })
  const weak = await estimator.estimate('qwertyuiopasdfgh', [], 'home')
  assert.equal(weak?.score, 1)
  assert.deepEqual(weak.advice, ['password.warning.similar_to_common', 'password.advice.another_word'])
})

test('what is known of a person makes their password weaker', async () => {
  const estimator = open()
  const of = async (words: string[]) => (await estimator.estimate('zebulonquist1842', words, 'home'))?.score ?? null
  assert.ok(Number(await of(['zebulonquist'])) < Number(await of([])))
})

test('two hundred hostile characters hold up nothing but their own answer', async () => {
  const estimator = open()
  await estimator.estimate(ada.password, [], 'home')
  const [thread, all] = [process.threadCpuUsage(), process.cpuUsage()]
  const answers = await Promise.all(
    ['p4ssw0rd'.repeat(25), '4@8({[3#!1|0$5+7%2'.repeat(12).slice(0, 200), 'a4@b8c({<d6e3f9g'.repeat(12)].map(
      async (hostile) => estimator.estimate(hostile, [], 'home'),
    ),
  )
  // Processor time, because another program may hold up this one.
  const [here, altogether] = [process.threadCpuUsage(thread), process.cpuUsage(all)].map(
    ({ user, system }) => user + system,
  )
  assert.equal(answers.length, 3)
  assert.equal(answers[0]?.score, 0)
  assert.ok(Number(here) < Number(altogether) / 10, `${here} µs of ${altogether} µs`)
})

test('a password that would wait behind too many others is judged by the rest, and the others are answered', async () => {
  const estimator = open({ waiting: 2, program: moody })
  await estimator.estimate('', [], 'home')
  failures.length = 0
  const asked = Array.from({ length: 5 }, async () => estimator.estimate('', [], 'home'))
  const answers = await Promise.all(asked)
  assert.deepEqual(
    answers.map((answer) => answer?.score ?? null),
    [2, 3, 4, null, null],
  )
  assert.deepEqual(
    failures,
    Array.from({ length: 2 }, () => 'too many requests wait for the same work'),
  )
})

test('an estimate that does not come to an end is ended, and the next one is made by another worker', async () => {
  const estimator = open({ timeout: 1000, program: moody })
  failures.length = 0
  const [before, lost, next] = await Promise.all(
    ['first', 'ponder', 'next'].map(async (password) => estimator.estimate(password, [], 'home')),
  )
  assert.deepEqual([before?.score, lost, next?.score], [1, null, 1])
  assert.deepEqual(failures, ['the strength of a password could not be estimated: ABORT_ERR'])
})

test('a worker that fails is replaced, and what is said of it does not quote the password', async () => {
  const estimator = open({ program: moody })
  failures.length = 0
  assert.equal(await estimator.estimate('stumble', [], 'home'), null)
  assert.equal((await estimator.estimate('', [], 'home'))?.score, 1)
  assert.deepEqual(failures, ['the strength of a password could not be estimated: Error'])
})

test('a worker is kept between two questions, and ended when it is idle', async () => {
  const kept = open({ program: moody })
  assert.deepEqual([(await kept.estimate('', [], 'home'))?.score, (await kept.estimate('', [], 'home'))?.score], [1, 2])

  const hasty = open({ idle: 0, program: moody })
  await hasty.estimate('', [], 'home')
  // Timers run in order, so the worker has been dismissed before this one is over.
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal((await hasty.estimate('', [], 'home'))?.score, 1)
})

test('a worker that never gets ready is ended, and the password is judged by the rest', async () => {
  const asleep = open({ startTimeout: 300, program: program('setInterval(() => {}, 1000)') })
  failures.length = 0
  assert.equal(await asleep.estimate('', [], 'home'), null)
  assert.deepEqual(failures, ['the strength of a password could not be estimated: ABORT_ERR'])
})

test('after it was closed it begins anew', async () => {
  const estimator = open({ program: moody })
  await estimator.estimate('', [], 'home')
  await estimator.close()
  assert.equal((await estimator.estimate('', [], 'home'))?.score, 1)
})
