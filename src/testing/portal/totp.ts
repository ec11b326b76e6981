import { createGuardrails, generateSync } from 'otplib'

/** The code of an authenticator app for the key of a page, `steps` before or after this time. */
export function codeOf(key: string, at: Date, steps = 0): string {
  const epoch = Math.floor(at.getTime() / 1000) + steps * 30
  return generateSync({
    secret: key.replaceAll(' ', ''),
    epoch,
    guardrails: createGuardrails({ MIN_SECRET_BYTES: 10 }),
  })
}
