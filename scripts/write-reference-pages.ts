import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeReferencePages } from './documents/reference-pages.ts'
import { ROOT } from './tool.ts'

// `npm run docs`
for (const [path, text] of await makeReferencePages()) {
  await writeFile(join(ROOT, path), text)
  console.log(`wrote ${path}`)
}
