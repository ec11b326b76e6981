import assert from 'node:assert/strict'
import { test } from 'node:test'
import { englishTexts } from '../../i18n/texts.ts'
import { canonicalUserName, skeletonsOf, userNameProblem } from './user-names.ts'

const PROBLEMS = {
  characters: 'Use 2–64 letters, numbers, dots, hyphens or underscores. Start with a letter or number.',
  scripts: 'Use letters of one script only, such as Latin.',
  figures: 'Use digits of one kind only.',
  accents: 'Use fewer accents on one letter.',
}

for (const [name, what] of [
  ['zoë.o-brien_2', 'Latin with an accent'],
  ['Nguyễn', 'Vietnamese'],
  ['Işık', 'Turkish'],
  ['ɔ̀yɛ́', 'accents that no letter is composed of'],
  ['Иванов', 'Cyrillic'],
  ['Ελένη', 'Greek'],
  ['יוסף', 'Hebrew'],
  ['שָׁלוֹם', 'Hebrew with points'],
  ['محمد', 'Arabic'],
  ['محمد١٢', 'Arabic with its figures'],
  ['मोहन', 'Devanagari'],
  ['தமிழ்', 'Tamil'],
  ['สมชาย', 'Thai'],
  ['王小明', 'Han'],
  ['田中さくらマリ', 'Han, Hiragana and Katakana'],
  ['tanaka田中さくらー', 'the same with Latin'],
  ['김철수kim金', 'Hangul, Han and Latin'],
  ['ㄅㄆ王wang', 'Bopomofo, Han and Latin'],
  ['4you', 'a figure first'],
] as const) {
  test(`${name} is a user name: ${what}`, () => {
    const canonical = canonicalUserName(name)
    assert.equal(userNameProblem(canonical), null)
    assert.equal(canonicalUserName(name.normalize('NFD')), canonical)
  })
}

for (const [name, problem, what] of [
  ['a\u{34f}da', 'characters', 'a combining grapheme joiner'],
  ['ada\u{fe0f}', 'characters', 'a variation selector'],
  ['ada\u{e0100}', 'characters', 'another variation selector'],
  ['ada\u{115f}', 'characters', 'a Hangul filler'],
  ['ada\u{3164}', 'characters', 'another Hangul filler'],
  ['ada\u{ffa0}', 'characters', 'a half-width one'],
  ['ada\u{200b}', 'characters', 'a zero-width space'],
  ['a\u{200d}da', 'characters', 'a zero-width joiner'],
  ['a\u{ad}da', 'characters', 'a soft hyphen'],
  ['a\u{2060}da', 'characters', 'a word joiner'],
  ['ada\u{202e}', 'characters', 'a bidi override'],
  ['a\u{2066}da', 'characters', 'a bidi isolate'],
  ['ada\u{e0061}', 'characters', 'a tag'],
  ['ada\u{20dd}', 'characters', 'an enclosing circle'],
  ['a'.repeat(65), 'characters', 'too long'],
  ['\u{301}ada', 'characters', 'an accent first'],
  ['ꓮꓓꓮ', 'scripts', 'Lisu'],
  ['ᎪᎠᎪ', 'scripts', 'Cherokee'],
  ['аda', 'scripts', 'Cyrillic а'],
  ['adі', 'scripts', 'Cyrillic і'],
  ['αda', 'scripts', 'Greek alpha'],
  ['ada王иван', 'scripts', 'three scripts'],
  ['さくら김', 'scripts', 'Hiragana and Hangul'],
  ['محمد1١', 'figures', 'European and Arabic figures'],
  ['محمد١۲', 'figures', 'figures of two Arabic kinds'],
  [`a${'\u{301}'.repeat(40)}da`, 'accents', 'forty accents'],
  ['a\u{335}\u{335}da', 'accents', 'one accent twice'],
  ['a\u{323}\u{324}\u{325}\u{32d}da', 'accents', 'four accents'],
] as const) {
  test(`${JSON.stringify(name.slice(0, 10))} is no user name: ${what}`, () => {
    const found = userNameProblem(canonicalUserName(name))
    assert.equal(found && englishTexts().say(found), PROBLEMS[problem])
  })
}

for (const [one, other] of [
  ['ada', 'ADA'],
  ['ian', 'ıan'],
  ['Ian', 'ıan'],
  ['Imogen', 'irnogen'],
  ['PAULINE', 'pauIine'],
  ['ian', 'i\u{307}an'],
  ['istanbul', 'İstanbul'],
  ['paul', 'pauI'],
  ['Pauline', 'PauIine'],
  ['Nell', 'NEIL'],
  ['νικος', 'ΝΙΚΟΣ'],
  ['paul', 'pau1'],
  ['bob', 'b0b'],
  ['mary', 'rnary'],
  ['scope', 'ѕсоре'],
  ['kara', 'КАRА'],
  ['MAPK', 'марк'.toUpperCase()],
  ['ada', 'a\u{34f}d\u{200b}a'],
  ['zoë', 'zoe\u{308}'],
] as const) {
  test(`${one} and ${JSON.stringify(other)} look alike`, () => {
    assert.ok(lookAlike(one, other))
  })
}

for (const [one, other] of [
  ['ada', 'adam'],
  ['Neil', 'Nell'],
  ['neil', 'nell'],
  ['Elia', 'Ella'],
  ['Delia', 'Della'],
  ['Emil', 'emll'],
  ['zoe', 'zoë'],
  ['ada.b', 'ada-b'],
  ['ivan', 'иван'],
  ['person1', 'person2'],
] as const) {
  test(`${one} and ${other} do not look alike`, () => {
    assert.ok(!lookAlike(one, other))
  })
}

function lookAlike(one: string, other: string): boolean {
  const skeletons = new Set(skeletonsOf(one))
  return skeletonsOf(other).some((each) => skeletons.has(each))
}

test('a name has two skeletons at most, and one where case makes no difference', () => {
  assert.deepEqual(skeletonsOf('Neil'), ['neil'])
  assert.deepEqual(skeletonsOf('Ian'), ['lan', 'ian'])
})
