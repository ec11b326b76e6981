import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonRecord, readJsonRecords } from './json-records.ts'

async function recordsIn(text: string | Buffer, member: string | null, chunk = 64): Promise<JsonRecord[]> {
  const bytes = Buffer.from(text)
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk)
  }
  const records: JsonRecord[] = []
  for await (const record of readJsonRecords(chunks(), member)) records.push(record)
  return records
}

function valuesOf(records: JsonRecord[]): unknown[] {
  return records.map((record) => ('value' in record ? record.value : record.problem))
}

const TRICKY = { a: '}]"\\', b: [{ c: ['{'] }], users: [{ no: 1 }], d: 'é\u2028\n', e: null }

test('objects are found in an array, one after another and in a member, wherever the file is cut into chunks', async () => {
  const files: [string, string | null][] = [
    [JSON.stringify([TRICKY, { n: 2 }]), null],
    [JSON.stringify([TRICKY, { n: 2 }], null, 2), 'users'],
    [`\ufeff${JSON.stringify(TRICKY)}\r\n\r\n${JSON.stringify({ n: 2 })}`, null],
    [`${JSON.stringify(TRICKY, null, 2)}\n{"n":2}`, null],
    [
      JSON.stringify({ x: { users: [{ no: 1 }] }, y: [[{ no: 1 }]], z: '"users":[{', users: [TRICKY, { n: 2 }], t: 1 }),
      'users',
    ],
  ]
  for (const [text, member] of files)
    for (const chunk of [1, 3, 7, 1000])
      assert.deepEqual(valuesOf(await recordsIn(text, member, chunk)), [TRICKY, { n: 2 }], `${text} by ${chunk}`)
})

test('a record has the line that it begins in', async () => {
  const lines = (await recordsIn('{"users": [\n{"n":\n1},\n\n{"n":"a\\nb"}]\n}', 'users')).map(({ line }) => line)
  assert.deepEqual(lines, [2, 5])
})

test('what is wrong in a file is said, and keeps no other record out where that can be', async () => {
  const long = `{"n":"${'x'.repeat(1024 * 1024)}"}`
  for (const [text, member, expected] of [
    [
      `[{"n":1}, 5, "text, {", null, [{"n":0}], {"n":2}]`,
      null,
      [{ n: 1 }, ...Array<string>(4).fill('is not a JSON object'), { n: 2 }],
    ],
    [`{"n":1}\nnonsense and more\n{"n":2}`, null, [{ n: 1 }, 'is not a JSON object', { n: 2 }]],
    [`[{"n":01}, {"n":2}]`, null, ['is not a JSON object', { n: 2 }]],
    [`[${long}, {"n":2}]`, null, ['is longer than 1048576 bytes', { n: 2 }]],
    [`{"users":[{"n":1},{"n"`, 'users', [{ n: 1 }, 'ends in the middle; the file was cut off']],
    [`{"users":[{"n":1}`, 'users', [{ n: 1 }, 'ends in the middle; the file was cut off']],
    [`[{"n":1}}, {"n":2}]`, null, [{ n: 1 }, 'is no JSON; the rest of the file is not read']],
    ['', 'users', []],
    ['{"users": 5}', 'users', []],
  ] as const)
    assert.deepEqual(valuesOf(await recordsIn(text, member, 1000)), expected, text.slice(0, 80))
  const latin1 = Buffer.concat([Buffer.from('[{"n":"'), Buffer.from([0xe9]), Buffer.from('"}]')])
  assert.deepEqual(valuesOf(await recordsIn(latin1, null)), ['is not UTF-8'])
})
