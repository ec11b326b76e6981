// Runs in the page of the gallery. Frames are as wide as a viewport, so that each page is loaded once for each width.

/** What is wrong with these pages, each shown in one frame for every width. */
globalThis.checkPages = async (urls, widths) => {
  const frames = widths.map((width) => {
    const frame = document.createElement('iframe')
    frame.style.cssText = `border: 0; width: ${width}px; height: 900px`
    document.body.append(frame)
    return frame
  })
  const faults = []
  for (const url of urls) {
    const html = await (await fetch(url)).text()
    await Promise.all(frames.map((frame) => show(frame, html)))
    const [first] = frames
    faults.push(...listUnnamed(first.contentDocument).map((fault) => `${url}: ${fault}`))
    for (const frame of frames) {
      faults.push(...listMisfits(frame.contentDocument).map((fault) => `${url}, ${frame.clientWidth} px: ${fault}`))
    }
  }
  for (const frame of frames) frame.remove()
  return faults
}

function show(frame, html) {
  return new Promise((resolve) => {
    frame.addEventListener('load', resolve, { once: true })
    frame.srcdoc = html
  })
}

/** Sideways scrolling, and a heading that has the color of what is behind it. */
function listMisfits(page) {
  const { documentElement: html, body } = page
  const styleOf = (element) => page.defaultView.getComputedStyle(element)
  return [
    ...(styleOf(body).backgroundColor === 'rgba(0, 0, 0, 0)' ? ['no style sheet'] : []),
    ...(html.scrollWidth > html.clientWidth ? ['scrolls sideways'] : []),
    ...(styleOf(page.querySelector('h1')).color === styleOf(body).backgroundColor
      ? ['the heading cannot be read']
      : []),
  ]
}

/** What a screen reader could not name: the page, its heading, links, buttons, fields and images; and ids that are there twice. */
function listUnnamed(page) {
  const parts = page.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, img')
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
