/** A page as a screen reader reads it: its text, its errors, its buttons. Only for pages of the portal. */
export interface Page {
  status: number
  /** Without the footer. */
  html: string
  title: string
  heading: string
  /** Its main text, as one line. */
  text: string
  notice: string | null
  /** The error summary at the top of a form. */
  problems: string[]
  forms: Form[]
}

export interface Form {
  method: string
  action: string
  /** The labels of its buttons, those for screen readers included. */
  buttons: string[]
  /** Names and values, without `form_id`. */
  fields: Record<string, string>
}

export async function readPage(response: Response): Promise<Page> {
  // The language switch is on every page, and leads back to it.
  const html = (await response.text()).replace(/<footer[\s\S]*<\/footer>/, '')
  const main = /<main[^>]*>([\s\S]*)<\/main>/.exec(html)?.[1] ?? html
  const summary = /<div class="error-summary"[\s\S]*?<\/div>/.exec(html)?.[0] ?? ''
  const notice = first(html, /<p class="notice"[^>]*>([\s\S]*?)<\/p>/)
  return {
    status: response.status,
    html,
    title: first(html, /<title>([\s\S]*?)<\/title>/) ?? '',
    heading: first(html, /<h1[^>]*>([\s\S]*?)<\/h1>/) ?? '',
    text: wordsOf(main),
    notice,
    problems: all(summary, /<a [^>]*>([\s\S]*?)<\/a>/g).map((match) => wordsOf(match[1] ?? '')),
    forms: all(html, /<form([^>]*)>([\s\S]*?)<\/form>/g).map(([, tag = '', inside = '']) => {
      const { form_id: _id, ...fields } = Object.fromEntries(
        all(inside, /<input([^>]*)>/g).map(([, input = '']) => [
          attribute(input, 'name') ?? '',
          attribute(input, 'value') ?? '',
        ]),
      )
      return {
        method: attribute(tag, 'method') ?? 'get',
        action: attribute(tag, 'action') ?? '',
        buttons: all(inside, /<button[^>]*>([\s\S]*?)<\/button>/g).map((match) => wordsOf(match[1] ?? '')),
        fields,
      }
    }),
  }
}

/** The form id of the first form that has one: new whenever a form is rendered. */
export function formIdOf({ html }: Page): string {
  const id = / name="form_id" value="([^"]*)"/.exec(html)?.[1]
  if (id === undefined) throw new Error('there is no form with an id')
  return id
}

/** Where the button with this label leads. */
export function actionOf(page: Page, button: string): string {
  const form = page.forms.find(({ buttons }) => buttons.includes(button))
  if (form === undefined) throw new Error(`there is no button ${button} among ${JSON.stringify(page.forms)}`)
  return form.action
}

/** Every element the browser would make, by name: hostile text must not add to them. */
export function elementsOf(html: string): string[] {
  return all(html, /<([a-z][a-z0-9]*)/gi)
    .map((match) => (match[1] ?? '').toLowerCase())
    .toSorted()
}

function first(html: string, pattern: RegExp): string | null {
  const inside = pattern.exec(html)?.[1]
  return inside === undefined ? null : wordsOf(inside)
}

function all(html: string, pattern: RegExp): RegExpExecArray[] {
  return [...html.matchAll(pattern)]
}

function attribute(tag: string, name: string): string | null {
  const value = new RegExp(` ${name}="([^"]*)"`).exec(tag)?.[1]
  return value === undefined ? null : unescape(value)
}

function wordsOf(html: string): string {
  const heard = html.replace(/<(\w+)(?: [^>]*)? aria-hidden="true"[^>]*>[^<]*<\/\1>/g, '')
  return unescape(heard.replace(/<[^>]*>/g, ''))
    .replace(/\s+/g, ' ')
    .trim()
}

function unescape(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
}
