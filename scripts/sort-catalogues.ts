import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '../locales')

for (const name of globSync('**/*.json', { cwd: FOLDER })) {
  const file = join(FOLDER, name)
  const texts = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>
  const sorted = Object.fromEntries(
    Object.keys(texts)
      .toSorted()
      .map((key) => [key, texts[key]]),
  )
  writeFileSync(file, `${JSON.stringify(sorted, null, 2)}\n`)
}
