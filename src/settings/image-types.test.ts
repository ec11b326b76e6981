import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { imageTypeOf } from './image-types.ts'

const SVG = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'
const svg = (text: string) => Buffer.from(text)

for (const [what, bytes, type] of [
  ['a PNG', Buffer.from('89504e470d0a1a0a00', 'hex'), 'image/png'],
  ['a JPEG', Buffer.from('ffd8ffe000104a464946', 'hex'), 'image/jpeg'],
  ['a WebP', Buffer.from('RIFF\x04\0\0\0WEBPVP8 ', 'latin1'), 'image/webp'],
  ['an SVG', svg(SVG), 'image/svg+xml'],
  ['an SVG with a declaration', svg(`\uFEFF<?xml version="1.0" encoding="UTF-8"?>\n${SVG}`), 'image/svg+xml'],
  ['an SVG with comments', svg(`<!-- a > b -->\n<!--\n-->${SVG}`), 'image/svg+xml'],
  ['the favicon', readFileSync(join(import.meta.dirname, '../../public/favicon.svg')), 'image/svg+xml'],
  ['nothing', Buffer.alloc(0), null],
  ['half a signature', Buffer.from('89504e47', 'hex'), null],
  ['a GIF', Buffer.from('GIF89a'), null],
  ['a WAV', Buffer.from('RIFF\x04\0\0\0WAVEfmt ', 'latin1'), null],
  ['a page', svg('<!doctype html><p>'), null],
  ['a page with an SVG in it', svg(`<p>${SVG}`), null],
  ['an element that begins like svg', svg('<svgx xmlns="http://www.w3.org/2000/svg"></svgx>'), null],
  ['an SVG without its namespace', svg('<svg></svg>'), null],
  ['an SVG with a namespace of another', svg('<svg xmlns="http://www.w3.org/1999/xhtml"></svg>'), null],
  ['an SVG with a document type', svg(`<!DOCTYPE svg [<!ENTITY a "aaaa">]>${SVG}`), null],
  ['an SVG with an entity after its root', svg(`${SVG}<!ENTITY a "aaaa">`), null],
  ['an SVG that is not UTF-8', Buffer.from(`${SVG}\xe4`, 'latin1'), null],
] as const) {
  test(`${what} is ${type ?? 'no picture'}`, () => assert.equal(imageTypeOf(bytes), type))
}

test('a document that is all comments takes no time worth noticing', () => {
  assert.equal(imageTypeOf(svg('<!-- -->'.repeat(32_000))), null)
  assert.equal(imageTypeOf(svg(`<!--${'-'.repeat(250_000)}`)), null)
  assert.equal(imageTypeOf(svg(' '.repeat(256_000))), null)
})
