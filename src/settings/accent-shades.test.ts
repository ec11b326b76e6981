import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BACKGROUNDS, contrastOf, deriveShades, inkOn, LEAST_CONTRAST, type Shades } from './accent-shades.ts'

const STYLE = readFileSync(join(import.meta.dirname, '../../public/style.css'), 'utf8')
const [LIGHT = '', DARK = ''] = STYLE.split('@media screen and (prefers-color-scheme: dark)')

/** A colour of a theme, from the style sheet. */
function colorOf(theme: 'light' | 'dark', name: string): string {
  const value = new RegExp(`--${name}: (#[0-9a-f]{6})`).exec(theme === 'light' ? LIGHT : DARK)?.[1]
  return value ?? assert.fail(`${theme} has no --${name}`)
}

const STEPS = ['00', '33', '66', '99', 'cc', 'ff']
const COLORS = STEPS.flatMap((red) => STEPS.flatMap((green) => STEPS.map((blue) => `#${red}${green}${blue}`)))

test('the backgrounds are those of the style sheet', () => {
  for (const theme of ['light', 'dark'] as const)
    assert.deepEqual(
      BACKGROUNDS[theme],
      ['paper', 'surface', 'sunken'].map((name) => colorOf(theme, name)),
    )
})

test('whatever the colour, every text in its shades is easy to read in both themes', () => {
  const taken: string[] = []
  for (const color of COLORS) {
    let accent
    try {
      accent = deriveShades(color)
    } catch {
      continue
    }
    taken.push(color)
    for (const theme of ['light', 'dark'] as const) {
      const shades = accent[theme]
      const texts = [
        ...[...BACKGROUNDS[theme], shades.accentSoft].flatMap((under) => [
          [shades.accent, under],
          [shades.accentDeep, under],
        ]),
        [shades.onAccent, shades.accent],
        [shades.onAccent, shades.accentDeep],
        [colorOf(theme, 'ink'), shades.accentSoft],
        [colorOf(theme, 'muted'), shades.accentSoft],
      ] as [string, string][]
      for (const [text, under] of texts) {
        const contrast = contrastOf(text, under)
        assert.ok(contrast >= LEAST_CONTRAST, `${color}, ${theme}: ${text} on ${under} is ${contrast}:1`)
      }
    }
  }
  assert.ok(taken.length > 120, `${taken.length} of ${COLORS.length}`)
})

test('a colour that is readable on the light pages stays as it is', () => {
  for (const color of ['#1d4ed8', '#0000ff', '#000000', '#17694d', '#7a0019'])
    assert.equal(deriveShades(color).light.accent, color)
})

test('the dark theme has a lighter shade of the same colour', () => {
  const { dark } = deriveShades('#1d4ed8')
  assert.deepEqual(dark, {
    accent: '#80a9ff',
    accentDeep: '#9ebdff',
    onAccent: '#131c30',
    accentSoft: '#232b3d',
    accentLine: '#3f4f71',
  } satisfies Shades)
})

test('the nearest colour to white that will do is a grey', () => {
  assert.throws(() => deriveShades('#ffffff'), /the nearest colour that would do is #6c6c6c$/)
})

for (const [color, contrast] of [
  ['#ffffff', '1.0'],
  ['#ffff00', '1.0'],
  ['#facc15', '1.3'],
] as const) {
  test(`${color} is refused, with the nearest colour that is not`, () => {
    const refused =
      /^is too light: as text on the light pages it has a contrast of (.+):1, and 4\.5:1 is needed; the nearest colour that would do is (#[0-9a-f]{6})$/
    let message = ''
    try {
      deriveShades(color)
    } catch (error) {
      ;({ message } = error as Error)
    }
    const [, found, nearest = ''] = refused.exec(message) ?? assert.fail(message)
    assert.equal(found, contrast)
    assert.equal(deriveShades(nearest).light.accent, nearest)
  })
}

test('on every colour black or white is easy to read', () => {
  for (const color of COLORS) assert.ok(contrastOf(inkOn(color), color) >= LEAST_CONTRAST, color)
  assert.equal(inkOn('#1d4ed8'), '#ffffff')
  assert.equal(inkOn('#facc15'), '#000000')
})
