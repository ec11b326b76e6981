// WebAuthn: a form with data-passkey asks the browser for a passkey (`get`) or a new one (`create`) before it is sent. Without
// passkeys it stays hidden, and a text replaces it. The browser reads and writes the JSON (WebAuthn §5.1.7 to §5.1.9).
const isSupported =
  typeof globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON === 'function' &&
  typeof globalThis.PublicKeyCredential.parseCreationOptionsFromJSON === 'function'

const forms = isSupported ? document.querySelectorAll('form[data-passkey]') : []
for (const words of document.querySelectorAll('[data-passkey-missing]')) words.hidden = isSupported

/** The message for an error, by its name (WebAuthn §5.1.3, §5.1.4). */
const UNUSABLE = 'This device or security key cannot be used here.'
const WORDS = {
  InvalidStateError: 'This device has a passkey of your account already.',
  NotAllowedError: 'That was cancelled, or took too long. You can try again.',
  AbortError: 'That was cancelled. You can try again.',
  NotSupportedError: UNUSABLE,
  ConstraintError: UNUSABLE,
  SecurityError: 'Passkeys do not work at this address. Open the page at its usual address.',
}

/** The browser shows one question at a time: a new one replaces the pending one of the user name suggestions. */
let waiting = new AbortController()

for (const form of forms) {
  form.hidden = false
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void answer(form)
  })
  if ('conditional' in form.dataset) void offer(form)
}

async function answer(form) {
  waiting.abort()
  waiting = new AbortController()
  const problem = form.querySelector('[data-passkey-problem]')
  problem.textContent = ''
  try {
    send(form, await ask(form, { signal: waiting.signal }))
  } catch (error) {
    problem.textContent = WORDS[error.name] ?? 'Your browser could not do that.'
  }
}

/** Conditional UI: passkeys among the browser's user name suggestions, without a prompt until the user picks one. */
async function offer(form) {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return
  try {
    send(form, await ask(form, { mediation: 'conditional', signal: waiting.signal }))
  } catch {
    // The user picked none, or pressed the button.
  }
}

async function ask({ dataset }, how) {
  const options = JSON.parse(dataset.options)
  return dataset.passkey === 'create'
    ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options), ...how })
    : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), ...how })
}

function send(form, credential) {
  // A choice of the form beside this one holds for both.
  for (const copy of form.querySelectorAll('[data-copy-of]'))
    copy.disabled = !document.getElementById(copy.dataset.copyOf).checked
  form.elements.credential.value = JSON.stringify(credential)
  form.submit()
}
