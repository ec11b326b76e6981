import { hasReadIntroduction } from '../../accounts/introductions.ts'
import type { Services } from '../../services.ts'
import type { DirectSignIn, StepOutcome } from './step.ts'

/** What an app sees of the account, for an app that wants it read (`--first-time-notice`): on a page. */
export async function notice(services: Services, { app, progress }: DirectSignIn): Promise<StepOutcome> {
  const { proof } = progress
  if (proof === null) return { kind: 'lapsed' }
  if (app.firstTimeNotice && !(await hasReadIntroduction(services, proof.identityId, app.clientId)))
    return { kind: 'needs-page' }
  return { kind: 'passed', progress }
}
