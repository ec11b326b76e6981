import { type ForeignUser, UserBuilder } from './foreign-user.ts'
import { objectIn, objectsIn, textIn, textsIn } from './json-values.ts'

type Json = Record<string, unknown>

/** A user of Logto, with the names of its Management API or of the columns of its database. */
export function logtoUser(columns: Json): ForeignUser {
  const user = Object.fromEntries(Object.entries(columns).map(([name, value]) => [camelCase(name), value]))
  const builder = new UserBuilder()
  const profile = objectIn(user, 'profile') ?? {}
  const email = textIn(user, 'primaryEmail')
  builder.set('email', email)
  builder.setUserName(textIn(user, 'username'), email)
  // Logto says the same to its apps.
  builder.set('email_verified', email !== undefined)
  builder.set('disabled', user['isSuspended'] === true)
  builder.setCreated(user['createdAt'])
  builder.setNames(textIn(profile, 'givenName'), textIn(profile, 'familyName'), textIn(user, 'name'))
  builder.set('nickname', textIn(profile, 'nickname'))
  builder.set('picture', textIn(user, 'avatar'))
  builder.setPhoneNumber(textIn(user, 'primaryPhone'))
  for (const [name, value] of Object.entries(objectIn(user, 'customData') ?? {})) builder.addAttribute(name, value)
  for (const role of rolesIn(user)) builder.addRole(role)
  for (const connector of Object.keys(objectIn(user, 'identities') ?? {})) builder.leaveOut('identities', connector)
  for (const { issuer, ssoConnectorId } of objectsIn(user, 'ssoIdentities'))
    builder.leaveOut('identities', String(issuer ?? ssoConnectorId))
  for (const factor of objectsIn(user, 'mfaVerifications')) addFactor(builder, factor)
  addPassword(builder, user)
  return builder.build(textIn(user, 'id') ?? null)
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** Names, or what the Management API answers of a role. */
function rolesIn(user: Json): string[] {
  const named = objectsIn(user, 'roles').map((role) => textIn(role, 'name'))
  return [...textsIn(user, 'roles'), ...named.filter((name) => name !== undefined)]
}

function addFactor(builder: UserBuilder, factor: Json): void {
  const [type, key] = [textIn(factor, 'type'), textIn(factor, 'key')]
  if (type === 'Totp' && key !== undefined) builder.addTotpSecret(key)
  else builder.leaveOut('mfa_verifications', type ?? 'without a type')
}

const SLOW = new Set(['argon2i', 'argon2id', 'argon2d', 'bcrypt'])

function addPassword(builder: UserBuilder, user: Json): void {
  const value = textIn(user, 'passwordEncrypted')
  if (value === undefined || value === '') return
  const method = textIn(user, 'passwordEncryptionMethod') ?? ''
  if (SLOW.has(method.toLowerCase())) return builder.set('password_hash', value)
  const hash = method.toLowerCase() === 'legacy' ? legacyPbkdf2(value) : null
  if (hash === null) builder.leaveOut('password_hash', `${method}: a fast hash is guessed quickly, so it is not taken`)
  else builder.set('password_hash', hash)
}

/** `["pbkdf2", ["salt", "iterations", "length", "digest", "@"], "hash in hex"]`; null for any other function. */
function legacyPbkdf2(value: string): string | null {
  try {
    const [name, args, hash] = JSON.parse(value) as [string, string[], string]
    const [salt, iterations, length, digest, password] = args
    if (name.toLowerCase() !== 'pbkdf2' || password !== '@' || hash.length !== 2 * Number(length)) return null
    return `$pbkdf2-${digest}$i=${iterations}$${base64(salt as string, 'utf8')}$${base64(hash, 'hex')}`
  } catch {
    return null
  }
}

function base64(text: string, encoding: BufferEncoding): string {
  return Buffer.from(text, encoding).toString('base64').replace(/=+$/, '')
}
