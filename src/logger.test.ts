import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type Logger } from './logger.ts'

test('a line is JSON with a level in words, an ISO time and the message', () => {
  const [line] = written((logger) => logger.info({ familyId: 'f' }, 'rotated'))
  assert.deepEqual(Object.keys(line ?? {}), ['level', 'time', 'familyId', 'msg'])
  assert.equal(line?.['level'], 'info')
  assert.equal(line['msg'], 'rotated')
  assert.equal(new Date(String(line['time'])).toISOString(), line['time'])
})

test('a line says nothing about the machine', () => {
  const [line] = written((logger) => logger.info('hello'))
  assert.equal('pid' in (line ?? {}), false)
  assert.equal('hostname' in (line ?? {}), false)
})

test('what is below the level is not written', () => {
  const write = (logger: Logger) => {
    logger.debug('debug')
    logger.info('info')
    logger.warn('warn')
  }
  assert.deepEqual(
    written(write, 'warn').map((line) => line['msg']),
    ['warn'],
  )
  assert.deepEqual(written(write, 'silent'), [])
})

test('an error is written with its name, message, code, stack and cause', () => {
  const cause = Object.assign(new TypeError('the socket broke'), { code: 'ECONNRESET' })
  const [line] = written((logger) => logger.error({ error: new Error('not saved', { cause }) }, 'failed'))
  const error = line?.['error'] as Record<string, unknown>
  assert.deepEqual([error['name'], error['message']], ['Error', 'not saved'])
  assert.match(String(error['stack']), /logger\.test\.ts/)
  const inner = error['cause'] as Record<string, unknown>
  assert.deepEqual([inner['name'], inner['message'], inner['code']], ['TypeError', 'the socket broke', 'ECONNRESET'])
})

test('what a driver puts beside its error is not written', () => {
  const error = Object.assign(new Error('duplicate key'), {
    code: '23505',
    detail: 'Key (email)=(ada@example.test) already exists.',
    parameters: ['ada@example.test', 'a password'],
    query: 'SELECT 1',
  })
  const text = JSON.stringify(written((logger) => logger.error({ error }, 'failed')))
  for (const secret of ['ada@example.test', 'a password', 'SELECT 1']) assert.equal(text.includes(secret), false)
})

test('what is thrown without being an error is written as text', () => {
  for (const [thrown, message] of [
    ['text', 'text'],
    [null, 'null'],
    [undefined, undefined],
    [42, '42'],
  ] as const) {
    const [line] = written((logger) => logger.error({ error: thrown }, 'failed'))
    assert.equal((line?.['error'] as { message?: string } | undefined)?.message, message)
  }
})

test('a line break in a value makes no second line', () => {
  const lines = written((logger) => logger.info({ browser: 'Firefox\n{"level":"fatal"}' }, 'a\nb'))
  assert.equal(lines.length, 1)
})

function written(write: (logger: Logger) => void, level = 'info'): Record<string, unknown>[] {
  let text = ''
  write(createLogger(level, { write: (line: string) => void (text += line) }))
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
