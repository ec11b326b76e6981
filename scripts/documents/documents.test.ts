import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import { before, test } from 'node:test'
import type { Command } from 'commander'
import { parseAllDocuments } from 'yaml'
import { createProgram } from '../../src/commands/program.ts'
import { repeatOptions } from '../../src/commands/repeated-options.ts'
import { ROOT } from '../tool.ts'
import { leavesOf, nameOf } from './commands-page.ts'
import { type MarkdownPage, readMarkdown } from './markdown.ts'
import { makeReferencePages } from './reference-pages.ts'
import { shellCommands } from './shell-words.ts'

const FILES = ['*.md', 'docs/**/*.md', '{bench,examples,src}/**/*.md', '.github/*.md']
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  .filter((file) => file !== 'CHANGELOG.md' && !file.includes('node_modules'))
const pages = new Map(FILES.map((file) => [file, readMarkdown(read(file))]))
const manifest = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

/** What a block in each language must be able to do. `text` is for what is shown and not to be copied. */
const PARSERS: Record<string, (text: string) => void> = {
  json: (text) => void JSON.parse(text),
  yaml: parseYaml,
  sh: parseShell,
  ts: (text) => void stripTypeScriptTypes(text),
  js: (text) => void stripTypeScriptTypes(text),
}

let commands: Map<string, Command>
before(async () => {
  const leaves = leavesOf(await createProgram())
  for (const command of leaves) command.configureOutput({ writeErr: () => {} })
  commands = new Map(leaves.map((command) => [nameOf(command), command]))
})

test('every link leads to a file, a line or a heading that exists', () => {
  const broken = eachOf(({ links }) => links).filter(({ file, it }) => !leadsSomewhere(file, it.to))
  assert.deepEqual(
    broken.map(({ file, it }) => `${file}:${it.line} ${it.to}`),
    [],
  )
})

test('the README is short, and every page of docs/ can be reached from it', () => {
  assert.ok(read('README.md').trimEnd().split('\n').length <= 150)
  const reached = new Set(['README.md'])
  // A set that grows while it is read is read to its end.
  for (const file of reached) {
    for (const { to } of pages.get(file)?.links ?? []) {
      const [path = ''] = to.split('#')
      if (path !== '' && !/^[a-z]+:/.test(path)) reached.add(join(dirname(file), decodeURIComponent(path)))
    }
  }
  assert.deepEqual(
    FILES.filter((file) => file.startsWith('docs/') && !reached.has(file)),
    [],
  )
})

test('a sentence names its actor: client, browser, operator, user, app', () => {
  const vague = FILES.flatMap((file) => {
    const prose = read(file).replaceAll(/```[^]*?```|`[^`\n]*`/g, '')
    return (prose.match(/\b(some|any|no|every)body\b|\bwhoever\b/gi) ?? []).map((word) => `${file} ${word}`)
  })
  assert.deepEqual(vague, [])
})

test('every block of code parses as what it says it is', () => {
  const problems = eachOf(({ blocks }) => blocks).flatMap(({ file, it }) => {
    try {
      PARSERS[it.language]?.(it.text)
      return []
    } catch (error) {
      return [`${file}:${it.line} ${it.language}: ${String(error)}`]
    }
  })
  assert.deepEqual(problems, [])
})

test('every gatehouse command and npm script in a block exists, with the options it is given', () => {
  const lines = eachOf(({ blocks }) => blocks.filter(({ language }) => language === 'sh' || language === ''))
  const problems = lines.flatMap(({ file, it }) =>
    shellCommands(it.text).flatMap((words) => faultsOf(words).map((fault) => `${file}:${it.line} ${fault}`)),
  )
  assert.deepEqual(problems, [])
})

test('every gatehouse command and npm script that a sentence names exists', () => {
  const problems = eachOf(({ spans }) => spans).flatMap(({ file, it }) =>
    shellCommands(it.text).flatMap((words) => faultsOfMention(words).map((fault) => `${file}:${it.line} ${fault}`)),
  )
  assert.deepEqual(problems, [])
})

test('the pages that are made from the code are current; "npm run docs" makes them anew', async () => {
  for (const [path, text] of await makeReferencePages()) assert.equal(read(path), text, path)
})

test('workflows and Dependabot are YAML, pin their actions by version, need no secret, and run scripts that exist', () => {
  for (const file of globSync('.github/**/*.yml', { cwd: ROOT })) {
    const text = read(file)
    parseYaml(text)
    for (const [, action = ''] of text.matchAll(/uses: (.+)/g)) assert.match(action, /^[\w-]+\/[\w/-]+@v\d+\.\d+\.\d+$/)
    assert.doesNotMatch(text, /secrets\./, file)
    for (const [, line = ''] of text.matchAll(/- run: (.+)/g)) {
      assert.deepEqual(shellCommands(line).flatMap(faultsOf), [], file)
    }
  }
})

test('a block with a mistake, a command that is not there and a heading that is not there are noticed', () => {
  for (const [language, text] of [
    ['json', '{ "a": 1, }'],
    ['yaml', 'a: [1'],
    ['sh', 'if true; then echo'],
    ['ts', 'const a: = 1'],
  ] as const) {
    assert.throws(() => PARSERS[language]?.(text), language)
  }
  const faults = (line: string) => shellCommands(line).flatMap(faultsOf)
  assert.deepEqual(faults("npm ci && npx gatehouse app create a --name 'b c' --redirect-uri \\\n http://d # --e"), [])
  for (const line of [
    'npx gatehouse app invent',
    'npx gatehouse app create a --nmae b',
    'npx gatehouse family show',
    'npx gatehouse keys list too-much',
    'A=b npx gatehouse nonsense',
    'npm run nonsense',
    'npm ci && npm nonsense',
  ]) {
    assert.equal(faults(line).length, 1, line)
  }
  assert.ok(leadsSomewhere('README.md', 'docs/commands.md#app-create'))
  for (const to of ['docs/commands.md#app-invent', 'docs/nothing.md', '#nothing', 'package.json#L100000']) {
    assert.ok(!leadsSomewhere('README.md', to), to)
  }
})

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

function eachOf<T>(list: (page: MarkdownPage) => T[]): { file: string; it: T }[] {
  return [...pages].flatMap(([file, page]) => list(page).map((it) => ({ file, it })))
}

function parseYaml(text: string): void {
  const problem = parseAllDocuments(text).flatMap(({ errors }) => errors)[0]
  if (problem !== undefined) throw problem
}

function parseShell(text: string): void {
  const { status, stderr } = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

/** Links to other sites are not followed: the tests run offline. */
function leadsSomewhere(from: string, to: string): boolean {
  if (/^[a-z]+:/.test(to)) return true
  const [path = '', anchor] = to.split('#')
  const file = path === '' ? from : join(dirname(from), decodeURIComponent(path))
  if (!existsSync(join(ROOT, file))) return false
  if (anchor === undefined) return true
  const [, lastLine] = /^L\d+(?:-L(\d+))?$/.exec(anchor) ?? []
  if (/^L\d/.test(anchor)) return read(file).split('\n').length > Number(lastLine ?? anchor.slice(1))
  return statSync(join(ROOT, file)).isFile() && (pages.get(file)?.anchors.has(anchor) ?? false)
}

/** What is wrong with a command line of a block, if it is one of ours. */
function faultsOf(words: string[]): string[] {
  const [program = '', ...rest] = words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word)))
  if (program === 'npm') return npmFaults(rest)
  const args = program === 'npx' && rest[0] === 'gatehouse' ? rest.slice(1) : program === 'gatehouse' ? rest : null
  if (args === null || args[0] === '--version') return []
  const [command, given] = commandIn(args)
  if (command === undefined) return [`there is no command ${args.slice(0, 2).join(' ')}`]
  const fault = optionFault(command, given) ?? argumentFault(command, given)
  return fault === null ? [] : [`${nameOf(command)}: ${fault}`]
}

/** The same for a sentence, which may leave out arguments, and name a group of commands or, with `…` and `<…>`, any. */
function faultsOfMention(words: string[]): string[] {
  const isGeneral = words.some((word) => /^…|^</.test(word))
  const group = words.filter((word) => word !== 'npx').slice(1)
  if (words[0] === 'npm') return npmFaults(words.slice(1))
  if (!['npx', 'gatehouse'].includes(words[0] ?? '') || isGeneral || words.length === 1) return []
  if ([...commands.keys()].some((name) => name.startsWith(`${group.join(' ')} `))) return []
  return faultsOf(words).filter((fault) => !fault.endsWith(MISSING))
}

const MISSING = 'an argument is missing'

function npmFaults([verb = '', name = '']: string[]): string[] {
  if (['ci', 'install', 'pack', 'pkg', 'prune'].includes(verb)) return []
  const script = verb === 'run' ? name : verb
  return script in manifest.scripts ? [] : [`there is no npm script ${script}`]
}

function commandIn(words: string[]): [Command | undefined, string[]] {
  const size = [3, 2].find((count) => commands.has(words.slice(0, count).join(' '))) ?? 1
  return [commands.get(words.slice(0, size).join(' ')), words.slice(size)]
}

/** The words after the name of a command, as the command line takes them. */
function repeated(command: Command, words: string[]): string[] {
  const before = ['node', 'gatehouse', ...nameOf(command).split(' ')]
  return repeatOptions([...before, ...words]).slice(before.length)
}

function optionFault(command: Command, words: string[]): string | null {
  try {
    const { unknown } = command.parseOptions(repeated(command, words))
    return unknown.length === 0 ? null : `there is no option ${unknown[0]}`
  } catch (error) {
    return (error as Error).message
  }
}

function argumentFault(command: Command, words: string[]): string | null {
  const { operands } = command.parseOptions(repeated(command, words))
  const { registeredArguments: expected } = command
  if (operands.length < expected.filter(({ required }) => required).length) return MISSING
  const isOpen = expected.some(({ variadic }) => variadic)
  return !isOpen && operands.length > expected.length ? 'there is an argument too many' : null
}
