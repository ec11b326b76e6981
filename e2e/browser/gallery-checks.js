// Runs in the page of the gallery. One frame shows a page; it is made as wide as each screen, which is faster than loading the page
// again.

const SPACING = `* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }
  p { margin-block-end: 2em !important }`
const LARGE = 'html { font-size: 200% }'

/** How people read: on a wide screen, a phone and at 400 % zoom (WCAG 1.4.10), with 200 % text (1.4.4), with more space (1.4.12), from right to left. */
const READINGS = [
  { name: 'plain' },
  { name: 'text at 200 %', css: LARGE },
  { name: 'text spacing', css: SPACING },
  { name: 'right to left', dir: 'rtl' },
  { name: 'right to left, text at 200 %', dir: 'rtl', css: LARGE },
]
const WIDTHS = [1280, 390, 320]

/**
 * The rules whose result can change with the width of the screen; the others say the same at every width. The first, which takes
 * longest, is about what is shown: at 320 px that is what is shown at 390.
 */
const RULES_OF_WIDTH = ['color-contrast', 'target-size', 'scrollable-region-focusable', 'link-in-text-block', 'region']

let frame

/** Loads a page of the gallery into the frame. */
globalThis.openSample = async (url) => {
  const html = await (await fetch(url)).text()
  frame ??= document.body.appendChild(document.createElement('iframe'))
  await new Promise((resolve) => {
    frame.addEventListener('load', resolve, { once: true })
    frame.srcdoc = html
  })
}

/** What is wrong with it on any screen, for any reader: where, and what. */
globalThis.listFaults = async () => {
  const page = frame.contentDocument
  const faults = [...listUnnamed(page).map((fault) => ['', fault]), ...listMisfitsAtAllWidths()]
  for (const width of WIDTHS) {
    resize(width)
    const found = await listViolations(width === 390 ? null : width === 320 ? RULES_OF_WIDTH.slice(1) : RULES_OF_WIDTH)
    faults.push(...[...listSmallTargets(page), ...found].map((fault) => [`${width} px`, fault]))
  }
  return faults
}

/** What does not fit into the screen, for any reader. */
globalThis.listMisfitsAtAllWidths = () => {
  const page = frame.contentDocument
  const { dir } = page.documentElement
  const faults = []
  for (const width of WIDTHS) {
    resize(width)
    const hiding = listHiding(page)
    for (const reading of READINGS) {
      read(page, { dir, ...reading })
      // At 200 % in 320 px a line has about nine letters, and a word may have more.
      const words = width === 320 && reading.css === LARGE ? [] : listBrokenWords(page)
      const found = [...listMisfits(page, hiding), ...words.map((word) => `broken word: ${word}`)]
      faults.push(...found.map((fault) => [`${width} px, ${reading.name}`, fault]))
    }
  }
  read(page, { dir })
  return faults
}

/** What is wrong with its colours. */
globalThis.listColorFaults = async () => {
  const faults = []
  for (const width of [1280, 390]) {
    resize(width)
    faults.push(...(await listViolations(['color-contrast'])).map((fault) => [`${width} px`, fault]))
  }
  return [...faults, ...listBlankPages(frame.contentDocument).map((fault) => ['', fault])]
}

function resize(width) {
  frame.style.cssText = `border: 0; width: ${width}px; height: 900px`
}

/** Shows a page as a reader with these settings sees it. */
function read(page, { css = '', dir }) {
  const sheet = new page.defaultView.CSSStyleSheet()
  sheet.replaceSync(css)
  page.adoptedStyleSheets = [sheet]
  page.documentElement.dir = dir
}

/** What axe finds (WCAG 2.0 to 2.2, A and AA, and best practice). */
async function listViolations(rules) {
  const { axe } = frame.contentWindow
  const runOnly = rules ?? ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  // Of what was found only its HTML is shown, and no page has frames or needs its style sheets as text.
  const lean = { resultTypes: ['violations'], selectors: false, iframes: false, preload: false }
  const options = { runOnly, ...lean, rules: { 'target-size': { enabled: true } } }
  const { violations } = await axe.run(frame.contentDocument, options)
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`))
}

function listBlankPages(page) {
  const colorOf = (element, name) => page.defaultView.getComputedStyle(element)[name]
  const paper = colorOf(page.body, 'backgroundColor')
  return [
    ...(paper === 'rgba(0, 0, 0, 0)' ? ['no style sheet'] : []),
    ...(colorOf(page.querySelector('h1'), 'color') === paper ? ['the heading cannot be read'] : []),
  ]
}

/** Sideways scrolling, and text that is cut off. */
function listMisfits(page, hiding) {
  const { documentElement: html } = page
  return [
    ...listBlankPages(page),
    ...(html.scrollWidth > html.clientWidth ? [`scrolls sideways: ${listWide(page)}`] : []),
    ...listClipped(hiding).map((text) => `cut off: ${text}`),
  ]
}

/** The innermost elements that are outside of the screen. */
function listWide(page) {
  const width = page.documentElement.clientWidth
  const isOut = (element) => {
    const { left, right } = element.getBoundingClientRect()
    return right > width + 0.5 || left < -0.5
  }
  const wide = [...page.body.querySelectorAll('*')].filter((each) => isOut(each) && each.closest('.arches') === null)
  const innermost = wide.filter((each) => ![...each.children].some(isOut))
  return innermost.map((each) => each.outerHTML.slice(0, 120)).join(' | ')
}

/**
 * Boxes that hide what does not fit, which depends on the width and not on the reading. A box that can be scrolled, or has its whole
 * text as its title, hides nothing.
 */
function listHiding(page) {
  const styleOf = (element) => page.defaultView.getComputedStyle(element)
  return [...page.body.querySelectorAll('*')]
    .filter((each) => ['hidden', 'clip'].includes(styleOf(each).overflowX) && !each.hasAttribute('title'))
    .filter((each) => each.closest('.arches, .visually-hidden, thead, input, select') === null)
}

/** Text that boxes hide. */
function listClipped(hiding) {
  return hiding
    .filter((each) => each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1)
    .map((each) => each.outerHTML.slice(0, 120))
}

/** Short words on buttons and in the navigation that wrap to the next line. */
function listBrokenWords(page) {
  const broken = []
  for (const element of page.querySelectorAll('button, .button, nav a')) {
    // What is folded away has no lines yet.
    if (!element.checkVisibility()) continue
    const texts = page.createTreeWalker(element, NodeFilter.SHOW_TEXT)
    while (texts.nextNode()) {
      const text = texts.currentNode
      if (text.parentElement.closest('.visually-hidden') !== null || isOneLine(text)) continue
      for (const { 0: word, index } of text.data.matchAll(/(?<![^\s-])\p{L}{2,14}(?![^\s-])/gu)) {
        const range = page.createRange()
        range.setStart(text, index)
        range.setEnd(text, index + word.length)
        const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)))
        if (lines.size > 1) broken.push(word)
      }
    }
  }
  return broken
}

function isOneLine(text) {
  const range = text.ownerDocument.createRange()
  range.selectNodeContents(text)
  return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size < 2
}

/** Targets below 24 px (WCAG 2.5.8). Links inside of a sentence are as high as its line. */
function listSmallTargets(page) {
  return [...page.querySelectorAll('a[href], button, summary, input:not([type=hidden]), select, textarea')]
    .filter((target) => target.checkVisibility() && !isInSentence(target) && !target.matches('.skip-link'))
    .filter((target) => {
      const { width, height } = target.getBoundingClientRect()
      return width < 24 || height < 24
    })
    .map((target) => `smaller than 24 px: ${target.outerHTML.slice(0, 120)}`)
}

function isInSentence(target) {
  const { display } = target.ownerDocument.defaultView.getComputedStyle(target)
  const own = target.textContent.trim()
  return target.matches('a') && display === 'inline' && target.parentElement.textContent.trim() !== own
}

/** What a screen reader could not name: the page, its heading, links, buttons, fields and images; and ids that are there twice. */
function listUnnamed(page) {
  const parts = page.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, img:not([alt=""])')
  const unnamed = [...parts].filter((part) => nameOf(part) === '')
  const ids = [...page.querySelectorAll('[id]')].map(({ id }) => id)
  return [
    ...(page.title === '' || page.documentElement.lang === '' ? ['no title or language'] : []),
    ...(page.querySelectorAll('h1').length === 1 ? [] : ['not one heading']),
    ...unnamed.map((part) => `without a name: ${part.outerHTML.slice(0, 120)}`),
    ...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `id ${id} twice`),
  ]
}

function nameOf(part) {
  const labelled = (part.getAttribute('aria-labelledby') ?? '').split(' ')
  return [
    part.getAttribute('aria-label'),
    part.getAttribute('alt'),
    part.textContent,
    ...[...(part.labels ?? [])].map((label) => label.textContent),
    ...labelled.map((id) => part.ownerDocument.querySelector(`[id="${id}"]`)?.textContent),
  ]
    .join(' ')
    .trim()
}
