import assert from 'node:assert/strict'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeTemporaryFolder } from '../testing/services/temporary-folder.ts'
import { textsFor } from '../i18n/texts.ts'
import { createTemplates } from './templates.ts'

for (const [where, isLive, expected] of [
  ['in development', true, 'new'],
  ['in production', false, 'old'],
] as const) {
  test(`a view that changes, also one that is included, is the ${expected} one ${where}`, async () => {
    const folder = await makeTemporaryFolder('views')
    try {
      mkdirSync(join(folder.path, 'partials'))
      writeFileSync(join(folder.path, 'layout.ejs'), '<%- body %>')
      writeFileSync(join(folder.path, 'page.ejs'), "<%- include('partials/part') %>")
      const part = join(folder.path, 'partials/part.ejs')
      writeFileSync(part, 'old')
      const texts = textsFor('en', { organisation: 'Gatehouse' })
      const templates = createTemplates({ urlOf: (name) => name }, { isLive, folder: folder.path })
      assert.equal(await templates.toString('page', { title: 'Page' }, {}, texts), 'old')
      writeFileSync(part, 'new')
      utimesSync(part, 1, 1)
      assert.equal(await templates.toString('page', { title: 'Page' }, {}, texts), expected)
    } finally {
      await folder.remove()
    }
  })
}

for (const [path, what] of [
  ['../../secret', 'above the folder'],
  ['/etc/passwd', 'by an absolute path'],
  ['partials/../../secret', 'above the folder, in a roundabout way'],
] as const) {
  test(`no view includes a file ${what}`, async () => {
    const folder = await makeTemporaryFolder('views')
    try {
      for (const name of ['ours', 'theirs/sub']) mkdirSync(join(folder.path, name), { recursive: true })
      writeFileSync(join(folder.path, 'secret.ejs'), 'secret')
      writeFileSync(join(folder.path, 'ours/layout.ejs'), '<%- body %>')
      writeFileSync(join(folder.path, 'theirs/sub/page.ejs'), `<%- include('${path.replace('partials', '.')}') %>`)
      const templates = createTemplates(
        { urlOf: (name) => name },
        { isLive: false, folder: join(folder.path, 'ours'), overlay: join(folder.path, 'theirs') },
      )
      const texts = textsFor('en', { organisation: 'Gatehouse' })
      await assert.rejects(templates.toString('sub/page', { title: 'Page' }, {}, texts), /a view cannot include/)
    } finally {
      await folder.remove()
    }
  })
}

test('a view that is added to an overlay in development shows at once', async () => {
  const folder = await makeTemporaryFolder('views')
  try {
    for (const name of ['ours', 'theirs']) mkdirSync(join(folder.path, name))
    writeFileSync(join(folder.path, 'ours/layout.ejs'), '<%- body %>')
    writeFileSync(join(folder.path, 'ours/page.ejs'), 'ours')
    const templates = createTemplates(
      { urlOf: (name) => name },
      { isLive: true, folder: join(folder.path, 'ours'), overlay: join(folder.path, 'theirs') },
    )
    const texts = textsFor('en', { organisation: 'Gatehouse' })
    const show = () => templates.toString('page', { title: 'Page' }, {}, texts)
    assert.equal(await show(), 'ours')
    writeFileSync(join(folder.path, 'theirs/page.ejs'), 'theirs')
    assert.equal(await show(), 'theirs')
  } finally {
    await folder.remove()
  }
})
