import type { Services } from '../../services.ts'
import { offersPasskeys, passkeySignInOptions } from '../../sign-in/passkeys.ts'
import { signIn, signInByPasskey } from '../../sign-in/sign-in.ts'
import type { DirectSignIn, NextStep, Refusal, StepOutcome } from './step.ts'

/** The user name or e-mail address with the password, or a passkey alone, checked as on the sign-in page. @throws Overloaded */
export async function firstFactor(services: Services, direct: DirectSignIn): Promise<StepOutcome> {
  const { progress, answers, clientInfo, device } = direct
  if (progress.proof !== null) return { kind: 'passed', progress }
  const client = { clientInfo, deviceHash: device.isProven ? device.hash : null }
  const { login, password, passkey } = answers
  if (login !== undefined && password !== undefined) {
    const outcome = await signIn(services, { login, password, ...client })
    switch (outcome.kind) {
      case 'signed-in':
      case 'second-factor':
        // No app is a trusted browser.
        return { kind: 'passed', progress: { ...progress, proof: outcome.proof } }
      case 'throttled':
        return outcome
      case 'not-admitted':
        // The sign-in page says why, in the user's language.
        return { kind: 'needs-page' }
      case 'wrong-credentials':
        return { ...missing(services, 'credentials_invalid'), ipBlock: outcome.ipBlock }
    }
  }
  if (passkey === undefined) return missing(services)
  const outcome = await signInByPasskey(services, { credential: passkey, ...client })
  switch (outcome.kind) {
    case 'signed-in':
      return { kind: 'passed', progress: { ...progress, proof: outcome.proof } }
    case 'throttled':
      return outcome
    case 'wrong-credentials':
      return { ...missing(services, 'passkey_invalid'), ipBlock: outcome.ipBlock }
  }
}

function missing(services: Services, refusal?: Refusal): Extract<StepOutcome, { kind: 'missing' }> {
  const refused = refusal === undefined ? {} : { refusal }
  const byMail: NextStep[] = services.policy.mailSignIn ? ['email_code'] : []
  if (!offersPasskeys(services)) return { kind: 'missing', next: ['password', ...byMail], ...refused }
  const details = { passkey_options: passkeySignInOptions(services) }
  return { kind: 'missing', next: ['password', 'passkey', ...byMail], details, ...refused }
}
