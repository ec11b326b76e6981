import type { Setting } from '../../src/settings/setting.ts'
import { SECTIONS } from '../../src/settings/settings.ts'
import { defaultInWords } from './default-in-words.ts'

/** `.env.example`: every setting with an example, commented out. */
export function exampleSettings(): string {
  return [
    '# Made from the code by "npm run docs".\n',
    '# In development the file .env is read from the current folder. In production no file is read unless ENV_FILE names it.',
    '# Everything is optional in development. In production PUBLIC_URL and GATEHOUSE_SECRET must be set.',
    '# docs/configuration.md says more, such as which settings can also be given as <name>_FILE, the path of a file.',
    ...Object.entries(SECTIONS).flatMap(([title, settings]) => [
      `\n\n# ${title.toUpperCase()}`,
      ...Object.entries(settings).map(([name, each]) => exampleOf(name, each)),
    ]),
  ]
    .map((line) => `${line}\n`)
    .join('')
}

function exampleOf(name: string, each: Setting): string {
  const lines = [each.meaning, `Default: ${defaultInWords(each)}.`].flatMap((sentence) => wrap(withoutMarkup(sentence)))
  return ['', ...lines.map((line) => `# ${line}`), `#${name}=${each.example}`].join('\n')
}

function withoutMarkup(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '')
}

const WIDTH = 118

/** Lines of whole words, as long as fits. */
function wrap(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && longer.length <= WIDTH) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}
