/** A fenced block of code. */
export interface Block {
  /** The first word behind the fence; empty where there is none. */
  language: string
  text: string
  /** The line of the file on which the fence is. */
  line: number
}

export interface Link {
  /** As written: a path, an anchor or a URL. */
  to: string
  line: number
}

/** What a documentation page can break: its links, its anchors, and the code that readers copy. */
export interface MarkdownPage {
  anchors: Set<string>
  links: Link[]
  blocks: Block[]
  /** Inline code. */
  spans: { text: string; line: number }[]
}

/**
 * Parses the parts of GitHub-flavored Markdown that the documentation uses: fences, ATX headings, inline links, and `id`s in
 * HTML.
 */
export function readMarkdown(source: string): MarkdownPage {
  const page: MarkdownPage = { anchors: new Set(), links: [], blocks: [], spans: [] }
  let block: Block | null = null
  let fence = ''
  for (const [index, text] of source.split('\n').entries()) {
    const line = index + 1
    const [, indent = '', marks = '', language = ''] = /^( {0,6})(`{3,})\s*([\w-]*)/.exec(text) ?? []
    if (block !== null) {
      if (marks !== '' && marks.length >= fence.length && language === '') block = null
      else block.text += `${text.slice(indent.length)}\n`
    } else if (marks !== '') {
      block = { language, text: '', line }
      fence = marks
      page.blocks.push(block)
    } else readLine(page, text, line)
  }
  return page
}

function readLine(page: MarkdownPage, text: string, line: number): void {
  for (const [, code = ''] of text.matchAll(/`([^`]+)`/g)) page.spans.push({ text: code, line })
  for (const [, id = ''] of text.matchAll(/<[a-z]+ [^>]*\bid="([^"]+)"/g)) page.anchors.add(id)
  const prose = text.replaceAll(/`[^`]+`/g, (code) => ' '.repeat(code.length))
  for (const [, to = ''] of prose.matchAll(/\]\(<?([^\s)>]+)>?(?: "[^"]*")?\)/g)) page.links.push({ to, line })
  for (const [, to = ''] of prose.matchAll(/^\[[^\]]+\]: (\S+)/g)) page.links.push({ to, line })

  const [, title] = /^#{1,6} +(.+?)\s*#*$/.exec(text) ?? []
  if (title !== undefined) addHeading(page.anchors, title)
}

/** GitHub's anchor of a heading: the second of the same title gets `-1`. */
function addHeading(anchors: Set<string>, title: string): void {
  const name = title
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-')
  let anchor = name
  for (let count = 1; anchors.has(anchor); count += 1) anchor = `${name}-${count}`
  anchors.add(anchor)
}
