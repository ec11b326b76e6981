import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

/** Pages for developers, and what the error page shows in development only, are English. */
const FOR_DEVELOPERS = /^views\/(?:errors\/(?:index|app-request)\.ejs|(?:page-gallery|mail-previews|sample-mails)\/)/
const WORDS = /\p{L}{2,}/u
/** What stands in a page in any language. */
const NAMES = /^(?:QR|IP|PNG|JSON|UTC|JavaScript)$/

test('no view has a text of its own', () => {
  const found = globSync('views/**/*.ejs', { cwd: ROOT })
    .filter((file) => !FOR_DEVELOPERS.test(file))
    .flatMap((file) => textsIn(readFileSync(join(ROOT, file), 'utf8')).map((text) => `${file}: ${text}`))
  assert.deepEqual(found, [])
})

test('no script of a page has a text of its own', () => {
  const found = globSync('public/*.js', { cwd: ROOT }).flatMap((file) =>
    sentencesIn(readFileSync(join(ROOT, file), 'utf8')).map((text) => `${file}: ${text}`),
  )
  assert.deepEqual(found, [])
})

test('no page, rule or mail has a sentence of its own', () => {
  const found = globSync('src/{http,domain,mail}/**/*.ts', { cwd: ROOT })
    .filter((file) => !file.endsWith('.test.ts') && !FILES_FOR_OTHERS.some((each) => file.startsWith(each)))
    .flatMap((file) => sentencesIn(readFileSync(join(ROOT, file), 'utf8')).map((text) => `${file}: ${text}`))
  assert.deepEqual(found, [])
})

/** Their sentences are for developers and operators, are answers to programs, or are sample data. */
const FILES_FOR_OTHERS = [
  'src/domain/audit/verification.ts',
  'src/domain/findings.ts',
  'src/domain/metrics.ts',
  'src/http/error-reference.ts',
  'src/http/metrics-answer.ts',
  'src/http/sample-pages.ts',
  'src/http/admin/sample-pages.ts',
  'src/http/admin/sample-pages/',
  'src/http/admin/sample-pages/people.ts',
  'src/http/admin/sample-pages/operating.ts',
  'src/http/admin/sample-pages/apps.ts',
  'src/http/admin/snippets.ts',
  'src/http/misdirected.ts',
  'src/mail/sample-mails.ts',
  'src/http/pages/page-gallery.ts',
  'src/http/pages/mail-previews.ts',
]

/** The words between tags and in attributes that are read out, without what EJS prints. */
function textsIn(view: string): string[] {
  const html = view
    .replaceAll(/<%[-=]?[\s\S]*?%>/g, (code) => (/^<%[-=]/.test(code) ? '' : literalsOf(code)))
    .replaceAll(/<!--[\s\S]*?-->|<style[\s\S]*?<\/style>/g, '')
  const attributes = [...html.matchAll(/\s(?:title|alt|placeholder|aria-label)="([^"]*)"/g)].map(
    ([, text = '']) => text,
  )
  // A partial may be nothing but attributes.
  const between = html
    .replaceAll(/[\w-]+="[^"]*"(?![^<]*<)/g, '')
    .replaceAll(/<[^>]*>/g, '\n')
    .split('\n')
  return [...between, ...attributes].map((text) => text.trim()).filter((text) => WORDS.test(text) && !NAMES.test(text))
}

/** The strings in a piece of code that begin like a sentence. */
function literalsOf(code: string): string {
  return sentencesIn(code).join('\n')
}

/** Strings of two words or more, the first with a capital letter, but those of errors and logs. */
function sentencesIn(code: string): string[] {
  return code
    .replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
    .replaceAll(/(?:new \w*Error|logger\.\w+|logEvent|(?<=\s)throw new \w+)\([^)]*\)/g, '')
    .split('\n')
    .flatMap((line) => [...line.matchAll(/(['"`])((?:\\.|(?!\1).)*?)\1/g)].map(([, , text = '']) => text))
    .filter(
      (text) =>
        /^\p{Lu}\p{Ll}+(?: |, )\p{L}+|^\p{Lu}\p{Ll}+ .*[.?]$/u.test(text) &&
        !/^(?:SELECT|INSERT|UPDATE|DELETE|WITH) /.test(text),
    )
}
