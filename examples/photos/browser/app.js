import { connection, endConnection, keepFresh, refresh, restoreConnection } from './connection.js'
import { explain, fetchProfile, revoke } from './portal.js'
import { beginSignIn, completeSignIn, isAnswer, signOutUrl } from './sign-in.js'
import { showConnection, showEnded, showNotice, showProfile, showSignedOut, showSource, showTimeLeft } from './view.js'

const acts = {
  async signIn() {
    location.assign(await beginSignIn())
  },

  async refreshNow() {
    show(await refresh())
  },

  async loadProfile() {
    show(await keepFresh())
    if (connection) showProfile(await fetchProfile(connection))
  },

  async signOut() {
    const ended = await endConnection()
    try {
      // Before the page says "signed out": leaving the page would cancel the request, and the family would live on.
      if (ended) await revoke(ended.refreshToken)
    } finally {
      showSignedOut()
    }
  },

  async signOutEverywhere() {
    const url = connection && (await signOutUrl(connection))
    // The family is not revoked here: the portal ends it together with all others of this browser.
    await endConnection()
    showSignedOut()
    if (url) location.assign(url)
  },
}

for (const button of document.querySelectorAll('[data-act]')) {
  button.addEventListener('click', async () => {
    showNotice('')
    button.disabled = true
    await perform(acts[button.dataset.act])
    button.disabled = false
  })
}

await perform(start)
await perform(async () => showSource(await (await fetch('/source.json')).json()))
setInterval(() => perform(tick), 1000)

async function start() {
  if (isAnswer(location)) return show(await completeSignIn())
  if (restoreConnection()) return show(await refresh())
  showSignedOut()
}

async function tick() {
  if (!connection) return
  showTimeLeft(connection)
  show(await keepFresh())
}

async function perform(act) {
  try {
    await act()
  } catch (problem) {
    console.error(problem)
    showNotice(explain(problem))
  }
}

/** Updates the page after an outcome; null means that nothing was done. */
function show(outcome) {
  if (outcome?.kind === 'ended') return showEnded(outcome.reason)
  if (outcome?.kind === 'failed') showNotice(outcome.sentence)
  if (outcome?.kind === 'fresh') showNotice('')

  if (connection) showConnection(connection)
  else if (outcome) showSignedOut()
}
