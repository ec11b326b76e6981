// A button beside every password field that shows what was typed. Its words come from the field, in the user's language.
for (const field of document.querySelectorAll('input[type="password"][data-show]')) {
  const { show, showLabel, shown, hide, hideLabel, hidden } = field.dataset
  const box = document.createElement('div')
  box.className = 'password-box'
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'button quiet'
  button.setAttribute('aria-controls', field.id)
  // Screen readers are told whether the password can be seen; the name of the button alone would tell what it does next.
  const status = document.createElement('span')
  status.className = 'visually-hidden'
  status.setAttribute('role', 'status')

  const turn = (isShown) => {
    field.type = isShown ? 'text' : 'password'
    button.textContent = isShown ? hide : show
    button.setAttribute('aria-label', isShown ? hideLabel : showLabel)
  }
  button.addEventListener('click', () => {
    turn(field.type === 'password')
    status.textContent = field.type === 'password' ? hidden : shown
  })
  // Browsers keep what is typed into ordinary fields, and password managers know these by their type.
  field.form?.addEventListener('submit', () => turn(false))
  globalThis.addEventListener('pagehide', () => turn(false))

  const isFocused = document.activeElement === field
  field.before(box)
  box.append(field, button, status)
  turn(false)
  if (isFocused) field.focus()
}
