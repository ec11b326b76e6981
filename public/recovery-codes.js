// The page of new recovery codes: two buttons that need a script. Downloading them does not.
const copy = document.querySelector('[data-copy-codes]')
const print = document.querySelector('[data-print]')
const status = document.querySelector('[data-copy-status]')

print.hidden = false
print.addEventListener('click', () => globalThis.print())

// Browsers have a clipboard on https and on this very machine only.
copy.hidden = navigator.clipboard === undefined
copy.addEventListener('click', async () => {
  const codes = [...document.querySelectorAll('[data-codes] code')].map((code) => code.textContent)
  try {
    await navigator.clipboard.writeText(`${codes.join('\n')}\n`)
    status.textContent = copy.dataset.copied
  } catch {
    status.textContent = copy.dataset.refused
  }
})
