import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import express from 'express'
import { source as notesSource } from '../notes/source.ts'
import { source as photosSource } from '../photos/source.ts'
import { excerptPages } from './excerpt-pages.ts'
import { findExcerpt, linkTo, placeOf } from './excerpts.ts'

const excerpts = [...Object.values(notesSource).flat(), ...photosSource]

test('an excerpt is a whole function or class, with the comment above it', () => {
  const found = findExcerpt(new URL('excerpts.ts', import.meta.url), 'placeOf', 'say where')
  const text = found.lines.slice(found.from - 1, found.to)
  assert.match(text[0] ?? '', /^\/\*\* "examples/)
  assert.match(text[1] ?? '', /^export function placeOf/)
  assert.equal(text.at(-1), '}')
  assert.equal(placeOf(found), `examples/source/excerpts.ts, lines ${found.from} to ${found.to}`)
})

test('a function that is not there is noticed when the app starts', () => {
  const file = new URL('excerpts.ts', import.meta.url)
  for (const name of ['placeOff', 'place', 'lines'])
    assert.throws(() => findExcerpt(file, name, ''), /has no function or class/, name)
})

test('every link of the demo apps leads to a page that shows these lines', async () => {
  for (const app of [Object.values(notesSource).flat(), photosSource]) {
    const server = express().use(excerptPages(app)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      for (const each of app) {
        const page = await (await fetch(new URL(linkTo(each), origin))).text()
        assert.match(page, new RegExp(`<div id="lines"><pre>[^<]*(function|class) ${each.name}\\b`), each.name)
        assert.ok(page.includes(placeOf(each)), each.name)
      }
      assert.equal((await fetch(`${origin}/source/settings`)).status, 404)
    } finally {
      server.close()
    }
  }
})

test('the lines that a link names are those of the file', async () => {
  for (const { path, from, to, name } of excerpts) {
    const lines = (await readFile(join(import.meta.dirname, '../..', path), 'utf8')).split('\n')
    const text = lines.slice(from - 1, to)
    assert.ok(
      text.some((line) => line.includes(` ${name}`)),
      name,
    )
    assert.equal(text.at(-1), '}')
    assert.doesNotMatch(lines[from - 2] ?? '', /^(\/\/|\/\*\*| \*)/, `${name} has more comment above it`)
  }
})
