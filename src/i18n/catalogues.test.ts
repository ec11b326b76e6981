import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  isLiteralElement,
  isPluralElement,
  isPoundElement,
  isSelectElement,
  isTagElement,
  type MessageFormatElement,
  parse,
} from '@formatjs/icu-messageformat-parser'
import { ADMIN_LANGUAGES, catalogueOf, ENGLISH, LANGUAGES } from './catalogues.ts'
import type { MessageKey } from './messages.ts'

const ROOT = join(import.meta.dirname, '../..')
const english = catalogueOf(ENGLISH)
const everyKey = Object.keys(english) as MessageKey[]

for (const language of LANGUAGES) {
  const catalogue = catalogueOf(language)
  const keys = everyKey.filter((key) => ADMIN_LANGUAGES.includes(language) || !key.startsWith('admin.'))

  test(`${language}: has every text, no other, each of one line and in order`, () => {
    assert.deepEqual(Object.keys(catalogue), everyKey)
    const bad = keys.filter((key) => catalogue[key] !== catalogue[key].trim() || /[\n\t]| {2}/.test(catalogue[key]))
    assert.deepEqual(bad, [])
    assert.deepEqual(
      keys.filter((key) => catalogue[key] === ''),
      [],
    )
  })

  test(`${language}: every text takes what the English one takes`, () => {
    const different = keys
      .filter((key) => argumentsOf(parse(catalogue[key])) !== argumentsOf(parse(english[key])))
      .map((key) => `${key}: ${catalogue[key]}`)
    assert.deepEqual(different, [])
  })

  test(`${language}: every plural has the forms of the language`, () => {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories
    const incomplete = keys.filter((key) =>
      pluralsOf(parse(catalogue[key])).some((options) => forms.some((form) => !options.includes(form))),
    )
    assert.deepEqual(incomplete, [])
  })
}

test('every file of texts is in order, and those of the admin pages have names of their own', () => {
  for (const file of globSync('locales/**/*.json', { cwd: ROOT })) {
    const names = Object.keys(JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as object)
    assert.deepEqual(names, names.toSorted(), file)
    assert.deepEqual(
      names.filter((name) => name.startsWith('admin.') !== file.includes('admin/')),
      [],
      file,
    )
  }
})

test('every text is used, and every text that is used exists', () => {
  const files = globSync(['src/**/*.ts', 'views/**/*.ejs', 'public/*.js'], { cwd: ROOT }).filter(
    (file) => !file.endsWith('.test.ts') && !file.includes('storage/client/'),
  )
  const sources = files.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n')
  const named = new Set([...sources.matchAll(/['"`]([a-z][\w]*(?:\.[\w-]+)+)['"`]/g)].map(([, name]) => name))
  assert.deepEqual(
    everyKey.filter((key) => !named.has(key)),
    [],
  )
  const called = [...sources.matchAll(/\b(?:t|rich|message)\(\s*['"`](\w+\.[\w.-]+)['"`]/g)].map(
    ([, name = '']) => name,
  )
  assert.deepEqual(
    called.filter((name) => !(name in english)),
    [],
  )
})

/** What fills a text: its placeholders and tags, whatever their order and number. */
function argumentsOf(parts: MessageFormatElement[]): string {
  return [...new Set(namesIn(parts))].toSorted().join(' ')
}

function namesIn(parts: MessageFormatElement[]): string[] {
  return parts.flatMap((part) => {
    if (isLiteralElement(part) || isPoundElement(part)) return []
    const name = isTagElement(part) ? `<${part.value}>` : part.value
    return [name, ...branchesOf(part).flatMap(namesIn)]
  })
}

function pluralsOf(parts: MessageFormatElement[]): string[][] {
  return parts.flatMap((part) => [
    ...(isPluralElement(part) ? [Object.keys(part.options)] : []),
    ...branchesOf(part).flatMap(pluralsOf),
  ])
}

function branchesOf(part: MessageFormatElement): MessageFormatElement[][] {
  if (isPluralElement(part) || isSelectElement(part)) return Object.values(part.options).map(({ value }) => value)
  return isTagElement(part) ? [part.children] : []
}
