import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ejs from 'ejs'

/** A view of the overlay does not compile; the message names it. */
export class BrokenView extends Error {}

/**
 * The views in a folder. A file in the overlay folder replaces ours of the same name, whether it is a page, the layout or
 * included by another one. Includes are resolved by name, so that an overlay includes ours as our own files do.
 */
export class Views {
  readonly #folder: string
  readonly #overlay: string | null
  readonly #compiled = new Map<string, CompiledView>()
  /** The names of the files in the overlay. */
  #replaced: ReadonlySet<string> = new Set()

  /** @throws BrokenView */
  constructor(folder: string, overlay: string | null) {
    this.#folder = folder
    this.#overlay = overlay
    this.#listOverlay()
    for (const name of this.#replaced) this.#tryToCompile(name)
  }

  /** @param name such as `sessions/new` */
  render(name: string, locals: object): string {
    const file = `${name}.ejs`
    // EJS runs a view inside `with (locals)`, so this hides its own `include`, which looks beside the file only.
    const include = (path: string, more: object = {}) => this.render(nameOf(name, path), { ...locals, ...more })
    return this.#compile(file)({ ...locals, include })
  }

  /**
   * Compiles again what has changed since this was asked last. It looks at the views that were rendered: to list all of them takes
   * longer than to render a page.
   */
  refresh(): void {
    this.#listOverlay()
    const hasChanged = ([file, { path, mtimeMs }]: [string, CompiledView]) =>
      this.#pathOf(file) !== path || statSync(path, { throwIfNoEntry: false })?.mtimeMs !== mtimeMs
    // Views include others, but compile alone: all are cheap to compile again.
    if ([...this.#compiled].some(hasChanged)) this.#compiled.clear()
  }

  #compile(file: string): ejs.TemplateFunction {
    const known = this.#compiled.get(file)
    if (known !== undefined) return known.render
    const path = this.#pathOf(file)
    const { mtimeMs } = statSync(path)
    const render = ejs.compile(readFileSync(path, 'utf8'), { filename: path })
    this.#compiled.set(file, { path, mtimeMs, render })
    return render
  }

  #pathOf(file: string): string {
    const isReplaced = this.#overlay !== null && this.#replaced.has(file)
    return join(isReplaced ? this.#overlay : this.#folder, file)
  }

  #tryToCompile(file: string): void {
    try {
      this.#compile(file)
    } catch (error) {
      // EJS adds the path, and advice for its own command.
      const [problem = ''] = (error as Error).message.split(/ in \/| while compiling|\n/)
      throw new BrokenView(`${file} does not compile: ${problem}`, { cause: error })
    }
  }

  #listOverlay(): void {
    if (this.#overlay !== null) this.#replaced = new Set(listViews(this.#overlay))
  }
}

interface CompiledView {
  path: string
  /** When the file was last written. */
  mtimeMs: number
  render: ejs.TemplateFunction
}

/** The name of a view that another one includes. @throws for one outside the folder */
function nameOf(from: string, path: string): string {
  const name = join(dirname(from), path.replace(/\.ejs$/, '')).replaceAll('\\', '/')
  if (name.startsWith('..') || /^[/\\]/.test(path)) throw new Error(`a view cannot include ${path}`)
  return name
}

function listViews(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ejs') && existsSync(join(folder, name)))
    .map((name) => name.replaceAll('\\', '/'))
}
