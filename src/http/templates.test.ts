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
      const templates = createTemplates({ urlOf: (name) => name }, isLive, folder.path)
      assert.equal(await templates.toString('page', { title: 'Page' }, {}, texts), 'old')
      writeFileSync(part, 'new')
      utimesSync(part, 1, 1)
      assert.equal(await templates.toString('page', { title: 'Page' }, {}, texts), expected)
    } finally {
      await folder.remove()
    }
  })
}
