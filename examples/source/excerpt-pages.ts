import { Router } from 'express'
import { type Excerpt, placeOf } from './excerpts.ts'
import { Html, html } from './html.ts'

/** Shows each excerpt in its file, under `/source/<name>`. The page uses the app's own `/style.css`. */
export function excerptPages(excerpts: Excerpt[]): Router {
  const routes = Router()
  for (const excerpt of excerpts) {
    routes.get(`/source/${excerpt.name}`, (_req, res) => void res.send(excerptPage(excerpt)))
  }
  return routes
}

function excerptPage(excerpt: Excerpt): string {
  const { path, lines, does, from, to } = excerpt
  const [before, marked, after] = [lines.slice(0, from - 1), lines.slice(from - 1, to), lines.slice(to)]
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${path}</title>
        <link rel="stylesheet" href="/style.css" />
        <link rel="icon" href="/icon.svg" />
      </head>
      <body>
        <header><a href="/">Back</a> <span>${path}</span></header>
        <main class="source">
          <h1>${does}</h1>
          <p class="hint">${placeOf(excerpt)}</p>
          ${code(before)}
          <div id="lines">${code(marked)}</div>
          ${code(after)}
        </main>
      </body>
    </html>`.markup
}

/** Built here, because a formatter must not change the white space of code. */
function code(lines: string[]): Html {
  return lines.length === 0 ? html`` : new Html(`<pre>${html`${lines.join('\n')}`.markup}</pre>`)
}
