import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const STYLES = ['style.css', 'admin.css'].map((name) => join(import.meta.dirname, '../../public', name))

/** Names of sides, which are wrong in a language that is written from right to left. */
const SIDE = /(^|-)(left|right|top|bottom)(-|$)/
/** Properties whose four values are the sides of the screen. */
const BOX = /^(margin|padding|inset|border-width|border-style|border-color|scroll-(margin|padding))$/

test('the style sheets have logical properties only, so that they fit languages written from right to left', () => {
  for (const style of STYLES) assert.deepEqual(physicalIn(readFileSync(style, 'utf8')), [], style)
})

test('a side of the screen is noticed wherever it stands', () => {
  const physical = [
    'margin-left: 1rem',
    'padding-top: 0',
    'border-bottom: 1px solid',
    'border-top-left-radius: 1px',
    'right: 0',
    'text-align: left',
    'float: right',
    'inset: 0 auto 0 1rem',
    'border-width: 0 2px 2px 0',
    'margin: 0 calc(1px + (2px * 3)) 0 1px',
    'border-radius: 0 1px 1px 0',
    'transform: translateX(1rem)',
    'transform: rotate(45deg)',
  ]
  assert.deepEqual(physicalIn(`a { ${physical.join('; ')} }`), physical)
  const logical = [
    'margin-inline-start: 1rem',
    'inset-block-end: 0',
    'text-align: start',
    'margin: 0 1rem 2rem',
    'inset: 1px 2px 3px 2px',
    'border-radius: 0 0 1px 1px',
    'transform: rotate(calc(45deg * var(--forward)))',
    'transform: translateY(-1em)',
  ]
  assert.deepEqual(physicalIn(`/* left: 0 */ a:left { ${logical.join('; ')} }`), [])
})

/** The declarations that name a side of the screen. */
function physicalIn(css: string): string[] {
  const declarations = css.replaceAll(/\/\*.*?\*\//gs, '').matchAll(/([\w-]+):\s*([^;{}]+?)\s*(?=[;}])/g)
  return [...declarations]
    .filter(([, name = '', value = '']) => isPhysical(name, value))
    .map(([, name, value]) => `${name}: ${value}`)
}

function isPhysical(name: string, value: string): boolean {
  if (name.startsWith('--')) return false
  if (name === 'text-align' || name === 'float' || name === 'clear') return /^(left|right)$/.test(value)
  if (name === 'transform') return /translateX|(rotate|skew|translate|matrix)\((?!.*--forward)/.test(value)
  if (SIDE.test(name)) return true
  const values = partsOf(value)
  if (name === 'border-radius')
    return values.length > 1 && (values[0] !== (values[1] ?? values[0]) || differ(values, 2, 3))
  return BOX.test(name) && values.length === 4 && differ(values, 1, 3)
}

function differ(values: string[], one: number, other: number): boolean {
  return values[one] !== values[other]
}

/** The values between spaces, those inside of brackets not counted. */
function partsOf(value: string): string[] {
  return value.match(/(?:[^\s(]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+/g) ?? []
}
