import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'
import { checkStyle, readLogo } from './brand-files.ts'

const SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')

let folder: TemporaryFolder
before(async () => {
  folder = await makeTemporaryFolder('logo')
})
after(() => folder.remove())

async function write(content: string | Buffer): Promise<string> {
  const path = join(folder.path, 'logo.txt')
  await writeFile(path, content)
  return path
}

for (const [what, content, type] of [
  ['an SVG', SVG, 'image/svg+xml'],
  [
    'an SVG behind an XML declaration, a byte order mark and a comment',
    `\uFEFF<?xml version="1.0"?>\n<!-- a -->\n${SVG}`,
    'image/svg+xml',
  ],
  ['an SVG over several lines', '<svg\n  width="1"\n  xmlns="http://www.w3.org/2000/svg"\n>\n</svg>', 'image/svg+xml'],
  ['a PNG', PNG, 'image/png'],
  ['a WebP', Buffer.from('RIFF\0\0\0\0WEBPVP8 ', 'latin1'), 'image/webp'],
  ['a PNG of 256 kB', Buffer.concat([PNG], 256 * 1024), 'image/png'],
] as const) {
  test(`${what} is known by its content`, async () => {
    const logo = readLogo(await write(content))
    assert.equal(logo.type, type)
    assert.deepEqual(logo.bytes, Buffer.from(content))
  })
}

for (const [what, content] of [
  ['an empty file', ''],
  ['a page', '<!doctype html><html><svg xmlns="http://www.w3.org/2000/svg"></svg></html>'],
  ['a page that begins with a comment', `<!-- --><html>${SVG}</html>`],
  ['an SVG without its namespace', '<svg viewBox="0 0 1 1"/>'],
  ['an SVG of entities', `<!DOCTYPE svg [<!ENTITY a "b">]>${SVG}`],
  ['an SVG that is not UTF-8', Buffer.concat([Buffer.from(SVG), Buffer.from([0xff])])],
  ['a JPEG', Buffer.from('ffd8ffe000104a464946', 'hex')],
  ['a GIF', 'GIF89a'],
  ['a RIFF that is no WebP', 'RIFF\0\0\0\0WAVEfmt '],
  ['a script', 'alert(1)'],
] as const) {
  test(`${what} is no logo`, async () => {
    const path = await write(content)
    assert.throws(() => readLogo(path), /^Error: the file is not an image of type SVG .+, PNG or WebP$/)
  })
}

test('a logo is a file that can be read and is small', async () => {
  assert.throws(() => readLogo(join(folder.path, 'nothing.svg')), /^Error: the file cannot be read$/)
  assert.throws(() => readLogo(folder.path), /^Error: the file cannot be read$/)
  const path = await write(Buffer.concat([PNG], 256 * 1024 + 1))
  assert.throws(() => readLogo(path), /^Error: the file is larger than 256 kB$/)
})

test('a style sheet is a small text', async () => {
  checkStyle(await write('/* Żółw */ body { color: red }'))
  for (const content of [Buffer.from([0x61, 0xff]), 'a\0b']) {
    const path = await write(content)
    assert.throws(() => checkStyle(path), /^Error: the file is not a text in UTF-8$/)
  }
  const path = await write(' '.repeat(256 * 1024 + 1))
  assert.throws(() => checkStyle(path), /^Error: the file is larger than 256 kB$/)
})
