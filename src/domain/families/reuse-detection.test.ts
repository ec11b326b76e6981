import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FamilyRow } from '../../storage/families.ts'
import type { Services } from '../services.ts'
import { type Standing, standingOf } from './reuse-detection.ts'

const NOW = new Date('2026-03-04T12:00:00Z')
const DAY = 86_400
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1000)
const services = { lifetimes: { rotationGrace: 30, rotationGraceProven: 7 * DAY } } as Pick<Services, 'lifetimes'>

/** A family of a public app at generation 70; `replaced` is how long ago each generation was replaced, the last first. */
function family(replaced: number[], more: Partial<FamilyRow> = {}): FamilyRow {
  const [last = 0, ...earlier] = replaced
  const preset = { appIsPublic: true, jkt: null, x5t: null, rotationGrace: null, rotationGraceProven: null }
  const row = { rotatedAt: ago(last), earlierRotations: earlier.toReversed().map(ago), generation: 70 }
  return { ...preset, ...row, currentHash: Buffer.from('current'), ...more } as FamilyRow
}

const many = (count: number, seconds: number) => Array.from({ length: count }, () => seconds)
const proven = { appIsPublic: false }

for (const [what, row, behind, kind] of [
  ['the immediate predecessor, inside the window', family([29.999]), 1, 'excused'],
  ['the immediate predecessor, when the window closes', family([30]), 1, 'reused'],
  ['two behind, replaced inside the window', family([1, 29]), 2, 'excused'],
  ['two behind, replaced before the window', family([1, 31]), 2, 'reused'],
  ['two behind, replaced longer ago than is remembered', family([1]), 2, 'reused'],
  ['64 behind, the last that is remembered', family(many(64, 1)), 64, 'excused'],
  ['65 behind, with every memory inside the window', family(many(64, 1)), 65, 'forgotten'],
  ['65 behind, with the oldest memory before the window', family([...many(63, 1), 31]), 65, 'reused'],
  ['the same generation with another hash', family([1]), 0, 'ahead'],
  ['a generation that is yet to come', family([1]), -1, 'ahead'],
  ['a family that has never rotated', family([], { rotatedAt: null }), 1, 'ahead'],
  ['the predecessor with a proof, after six days', family([6 * DAY], proven), 1, 'excused'],
  ['the predecessor with a proof, after seven days', family([7 * DAY], proven), 1, 'reused'],
  ['two behind with a proof, after a minute', family([1, 60], proven), 2, 'reused'],
  ['the predecessor with a key of its holder', family([DAY], { jkt: 'thumbprint' }), 1, 'excused'],
  ['the predecessor with a certificate of its holder', family([DAY], { x5t: 'thumbprint' }), 1, 'excused'],
  [
    'an app with a longer term of its own',
    family([8 * DAY], { ...proven, rotationGraceProven: 9 * DAY }),
    1,
    'excused',
  ],
  ['an app that wants no such term', family([31], { ...proven, rotationGraceProven: 0 }), 1, 'reused'],
  ['a public app, which cannot use its proven grace', family([31], { rotationGraceProven: DAY }), 1, 'reused'],
  ['no window, a double click', family([1.999], { rotationGrace: 0 }), 1, 'duplicate'],
  ['no window, a triple click', family([0, 1], { rotationGrace: 0 }), 2, 'duplicate'],
  ['no window, after two seconds', family([2], { rotationGrace: 0 }), 1, 'reused'],
  ['no window, and a proof', family([3], { ...proven, rotationGrace: 0 }), 1, 'reused'],
  ['no window, but a term', family([1], { ...proven, rotationGrace: 0, rotationGraceProven: 9 }), 1, 'excused'],
  ['a window of a second, a duplicate after it', family([1.5], { rotationGrace: 1 }), 1, 'reused'],
] satisfies [string, FamilyRow, number, Standing['kind']][]) {
  test(`${what}: ${kind}`, () => {
    const presented = { generation: row.generation - behind, hash: Buffer.from('another') }
    assert.equal(standingOf(services, row, presented, NOW).kind, kind)
  })
}

test('the current token is current, whenever that was', () => {
  const presented = { generation: 70, hash: Buffer.from('current') }
  assert.equal(standingOf(services, family([90 * DAY]), presented, NOW).kind, 'current')
})
