// WebAuthn: a form with data-passkey asks the browser for a passkey (`get`) or a new one (`create`) before it is sent. Without
// passkeys it stays hidden, and a text replaces it. The browser reads and writes the JSON (WebAuthn §5.1.7 to §5.1.9).
const isSupported =
  typeof globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON === 'function' &&
  typeof globalThis.PublicKeyCredential.parseCreationOptionsFromJSON === 'function'

const forms = isSupported ? document.querySelectorAll('form[data-passkey]') : []
for (const words of document.querySelectorAll('[data-passkey-missing]')) words.hidden = isSupported

/** The browser shows one question at a time: a new one replaces the pending one of the user name suggestions. */
let waiting = new AbortController()

for (const form of forms) {
  form.hidden = false
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void answer(form)
  })
  if ('conditional' in form.dataset) void offer(form)
  if ('upgradeOptions' in form.dataset) void upgrade(form)
}
if (isSupported) {
  void sayWhetherDeviceHasPasskeys()
  for (const { dataset } of document.querySelectorAll('[data-passkey-signals]')) void signal(dataset.passkeySignals)
}

async function answer(form) {
  waiting.abort()
  waiting = new AbortController()
  const problem = form.querySelector('[data-passkey-problem]')
  problem.textContent = ''
  try {
    send(form, await ask(form, { signal: waiting.signal }))
  } catch (error) {
    // The user wanted a passkey on this device, and has one: there is nothing more to offer.
    if (error.name === 'InvalidStateError' && form.elements.outcome) lead(form, 'present')
    else problem.textContent = wordsFor(error, form)
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

/** Conditional create: the password manager that has just filled in the password makes a passkey without a question. */
async function upgrade(form) {
  const { signal } = waiting
  try {
    const { conditionalCreate } = (await PublicKeyCredential.getClientCapabilities?.()) ?? {}
    if (!conditionalCreate || signal.aborted) return
    const options = form.dataset.upgradeOptions
    const credential = await ask({ dataset: { passkey: 'create', options } }, { mediation: 'conditional', signal })
    if (signal.aborted) return
    form.elements.outcome.value = 'upgrade'
    send(form, credential)
  } catch {
    // It did not want to. The user still can.
  }
}

/** Only the browser knows whether a passkey can be offered after the sign-in. */
async function sayWhetherDeviceHasPasskeys() {
  const fields = document.querySelectorAll('[data-device-has-passkeys]')
  if (fields.length === 0) return
  const isAvailable = await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable?.().catch(() => false)
  for (const field of fields) field.value = isAvailable ? 'yes' : ''
}

/** Signal API: password managers hide passkeys that do not work any more, and show the current user name. */
async function signal(signals) {
  for (const [name, options] of Object.entries(JSON.parse(signals))) {
    try {
      await PublicKeyCredential[name]?.(options)
    } catch {
      // It is only a hint.
    }
  }
}

/** The message for an error, by its name (WebAuthn §5.1.3, §5.1.4). */
function wordsFor(error, form) {
  const words = JSON.parse(form.dataset.words)
  return words[error.name] ?? words.other
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

function lead(form, outcome) {
  form.elements.outcome.value = outcome
  form.submit()
}
