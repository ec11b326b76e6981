document.addEventListener('DOMContentLoaded', () => {
  document.querySelector('form[data-auto-submit]')?.submit()
})
