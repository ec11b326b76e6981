// Buttons that copy a text of the page. Without a script, and where the browser has no clipboard, they are hidden.
const status = document.querySelector('[data-copy-status]')

for (const button of document.querySelectorAll('[data-copy]')) {
  button.hidden = navigator.clipboard === undefined
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
      status.textContent = status.dataset.copied
    } catch {
      status.textContent = status.dataset.refused
    }
  })
}
