import { generateSync } from 'otplib'

/** What an authenticator app shows at a moment for the key a page printed, `steps` before or after it. */
export function codeOf(key: string, at: Date, steps = 0): string {
  const epoch = Math.floor(at.getTime() / 1000) + steps * 30
  return generateSync({ secret: key.replaceAll(' ', ''), epoch })
}
