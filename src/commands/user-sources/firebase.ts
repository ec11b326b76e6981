import { type ForeignUser, UserBuilder } from './foreign-user.ts'
import { objectSaid, objectsIn, textIn } from './json-values.ts'

type Json = Record<string, unknown>

/** How a Firebase project hashes passwords: the same for all of its users. */
export interface FirebaseHashConfig {
  signerKey: string
  saltSeparator: string
  rounds: string
  memoryCost: string
}

const PARAMETERS = ['base64_signer_key', 'base64_salt_separator', 'rounds', 'mem_cost'] as const

/** Reads the parameters as the console of Firebase shows them, or the same in JSON. @returns what is wrong, as a text */
export function readHashConfig(text: string): FirebaseHashConfig | string {
  const found = new Map(
    Array.from(text.matchAll(/"?([a-z\d_]+)"?\s*[:=]\s*"?([^\s",{}]+)"?/gi), ([, name, value]) => [name, value]),
  )
  const missing = PARAMETERS.filter((name) => !found.has(name))
  if (missing.length > 0) return `lacks ${missing.join(', ')}`
  const algorithm = found.get('algorithm') ?? 'SCRYPT'
  if (algorithm !== 'SCRYPT') return `is of ${algorithm}; Gatehouse takes SCRYPT`
  const [signerKey, saltSeparator, rounds, memoryCost] = PARAMETERS.map((name) => found.get(name) as string)
  return { signerKey, saltSeparator, rounds, memoryCost } as FirebaseHashConfig
}

/** A user of `firebase auth:export`; without a configuration its password is left out. */
export function firebaseUser(user: Json, config: FirebaseHashConfig | null): ForeignUser {
  const builder = new UserBuilder()
  const email = textIn(user, 'email')
  builder.set('email', email)
  builder.set('email_verified', user['emailVerified'] === true)
  builder.set('disabled', user['disabled'] === true)
  builder.setCreated(user['createdAt'])
  builder.setNames(undefined, undefined, textIn(user, 'displayName'))
  builder.set('picture', textIn(user, 'photoUrl'))
  builder.setPhoneNumber(textIn(user, 'phoneNumber'))
  for (const [name, value] of Object.entries(objectSaid(textIn(user, 'customAttributes')) ?? {}))
    builder.addAttribute(name, value)
  for (const { providerId } of objectsIn(user, 'providerUserInfo'))
    if (providerId !== 'password' && providerId !== 'phone') builder.leaveOut('providers', String(providerId))
  for (const factor of objectsIn(user, 'mfaInfo'))
    builder.leaveOut('mfa_info', textIn(factor, 'displayName') ?? textIn(factor, 'phoneInfo') ?? 'a second factor')
  const [hash, salt] = [textIn(user, 'passwordHash'), textIn(user, 'salt')]
  if (hash !== undefined && hash !== '' && config === null)
    builder.leaveOut('password_hash', 'needs the parameters of the project (--hash-config)')
  else if (hash !== undefined && hash !== '' && config !== null) {
    const { memoryCost, rounds, saltSeparator, signerKey } = config
    const parameters = `ln=${memoryCost},r=${rounds},ss=${saltSeparator},sk=${signerKey}`
    builder.set('password_hash', `$firebase-scrypt$${parameters}$${salt ?? ''}$${hash}`)
  }
  return builder.build(textIn(user, 'localId') ?? null)
}
