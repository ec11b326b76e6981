import type { Services } from '../../services.ts'
import { acrOf, satisfies, withSecondProof } from '../../sign-in/authentication-context.ts'
import { passkeySecondStepOptions } from '../../sign-in/passkeys.ts'
import {
  hasAnyFactor,
  hasSecondFactor,
  listSecondFactors,
  proveSecondStep,
  type SecondStepAnswer,
} from '../../sign-in/second-factors.ts'
import { methodsOf } from '../../sign-in/sign-in-methods.ts'
import type { Answers, DirectSignIn, NextStep, Refusal, StepOutcome } from './step.ts'

/** The second factor, where the account has one or the app asks for it, checked as on the page for it. */
export async function secondFactor(services: Services, direct: DirectSignIn): Promise<StepOutcome> {
  const { progress, clientInfo, device, acrValues } = direct
  const { proof } = progress
  if (proof === null || acrOf(proof.amr) === 'mfa') return { kind: 'passed', progress }
  const { identityId } = proof
  const isAsked = acrValues.length > 0 && !acrValues.some((acr) => satisfies(acrOf(proof.amr), acr))
  if (isAsked && !(await hasAnyFactor(services, identityId))) return { kind: 'needs-page' }
  if (!isAsked && !(await hasSecondFactor(services, identityId))) return { kind: 'passed', progress }

  const answer = answerIn(direct.answers)
  if (answer === null) {
    const question = await missing(services, identityId)
    // Only passkeys, at a host that can have none: the page says so.
    return question.next.length === 0 ? { kind: 'needs-page' } : question
  }
  const deviceHash = device.isProven ? device.hash : null
  const outcome = await proveSecondStep(services, { identityId, answer, clientInfo, deviceHash })
  switch (outcome.kind) {
    case 'proved': {
      const methods = [...(proof.methods ?? methodsOf(proof.amr)), outcome.method]
      const amr = withSecondProof(proof.amr, outcome.proof)
      return { kind: 'passed', progress: { ...progress, proof: { ...proof, amr, methods } } }
    }
    case 'throttled':
      return outcome
    case 'refused': {
      const refusal = 'credential' in answer ? 'passkey_invalid' : 'code_invalid'
      return { ...(await missing(services, identityId, refusal)), ipBlock: outcome.ipBlock }
    }
  }
}

/** A passkey that was sent with the password is not one for this step, which has options of its own. */
function answerIn({ totp, recovery_code: recoveryCode, passkey }: Answers): SecondStepAnswer | null {
  if (passkey !== undefined) return { credential: passkey }
  if (recoveryCode !== undefined) return { recoveryCode }
  return totp === undefined ? null : { code: totp }
}

async function missing(
  services: Services,
  identityId: string,
  refusal?: Refusal,
): Promise<Extract<StepOutcome, { kind: 'missing' }>> {
  const [{ factors, recoveryCodesLeft }, options] = await Promise.all([
    listSecondFactors(services, identityId),
    passkeySecondStepOptions(services, identityId),
  ])
  const next: NextStep[] = [
    ...(factors.some(({ kind }) => kind === 'totp') ? (['totp'] as const) : []),
    ...(options === null ? [] : (['passkey'] as const)),
    ...(recoveryCodesLeft > 0 ? (['recovery_code'] as const) : []),
  ]
  return {
    kind: 'missing',
    next,
    ...(options === null ? {} : { details: { passkey_options: options } }),
    ...(refusal === undefined ? {} : { refusal }),
  }
}
