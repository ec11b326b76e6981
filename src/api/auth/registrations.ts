import { registerOrSignIn } from '../../domain/accounts/registrations.ts'
import { changeAppRoles } from '../../domain/apps/app-roles.ts'
import type { AppRow } from '../../domain/apps/apps.ts'
import { clientOfApp } from '../../domain/direct-sign-in/direct-sign-ins.ts'
import type { RegistrationProblems } from '../../domain/identities/identities.ts'
import { admitRegistration } from '../../domain/limits/login-throttling.ts'
import { proofByPassword } from '../../domain/sign-in/identity-sessions.ts'
import { secondsUntil } from '../../domain/time.ts'
import { englishTexts } from '../../i18n/texts.ts'
import type { Call } from './call.ts'
import { SimpleRefusal } from './codes.ts'
import { logInProved } from './logins.ts'
import { refusalOf } from './protocol-refusals.ts'

export interface RegistrationInput {
  username: string
  email: string
  password: string
  password_confirmation: string
  roles?: string[] | undefined
  /** The version of the terms of use that the user has accepted. */
  terms?: string | undefined
}

/**
 * Registers a user, gives them the roles of the app that they ask for, and logs them in. No account enumeration: an e-mail address
 * that has an account is answered like any other, as on the page, unless the password is that of the account. @throws SimpleRefusal
 */
export async function register(call: Call, input: RegistrationInput): Promise<Record<string, unknown>> {
  const app = await authenticated(call)
  const { services, req } = call
  const { username, email, password, password_confirmation: again, roles = [], terms } = input
  refuseClosed(call)
  refuseRoles(app, roles)
  const { termsVersion, termsUrl } = services.brand
  if (termsVersion !== null && terms !== termsVersion)
    throw new SimpleRefusal('terms_required', undefined, { terms: termsVersion, terms_url: termsUrl })
  if (password !== again)
    throw new SimpleRefusal('registration_refused', undefined, { fields: { password_confirmation: 'not the same' } })

  const clientInfo = clientOfApp(app, req.clientInfo)
  // Every request counts against the rate limit, before anything costly and whatever its outcome.
  const admission = await admitRegistration(services, req.clientInfo.address)
  if (admission.kind === 'wait') {
    const seconds = secondsUntil(admission.retryAt, services.clock())
    throw new SimpleRefusal('throttled', undefined, { retry_after: seconds })
  }
  const context = { clientInfo, deviceHash: null, termsVersion }
  const outcome = await registerOrSignIn(services, { username, email, password }, context)
  switch (outcome.kind) {
    case 'refused':
      throw refused(outcome.problems)
    case 'registered': {
      const { identity } = outcome
      if (roles.length > 0) await changeAppRoles(services, identity.id, app.clientId, [...new Set(roles)])
      return logInProved(call, app, proofByPassword(identity))
    }
    case 'signed-in':
    case 'second-factor':
      return logInProved(call, app, outcome.proof)
  }
}

/** The app, which an endpoint of the protocol has authenticated: nothing is written for anyone else. */
async function authenticated(call: Call): Promise<AppRow> {
  const answer = await call.ask('/oauth/introspect', { token: 'none' })
  if (answer.status !== 200 || call.app === null) throw refusalOf(answer)
  return call.app
}

function refuseClosed({ services }: Call): void {
  if (services.policy.registration !== 'open') throw new SimpleRefusal('registration_closed')
}

function refuseRoles({ roles: known, selfAssignableRoles }: AppRow, asked: string[]): void {
  const refusedOnes = asked.filter((role) => !selfAssignableRoles.includes(role) || !known.includes(role))
  if (refusedOnes.length > 0) throw new SimpleRefusal('role_not_assignable', undefined, { roles: refusedOnes })
}

function refused(problems: RegistrationProblems): SimpleRefusal {
  const texts = englishTexts()
  const fields = Object.entries(problems).map(([field, problem]) => [field, texts.say(problem)])
  return new SimpleRefusal('registration_refused', undefined, { fields: Object.fromEntries(fields) as object })
}
