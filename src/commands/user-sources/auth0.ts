import { type ForeignUser, UserBuilder } from './foreign-user.ts'
import { objectIn, objectsIn, textIn, textsIn } from './json-values.ts'

type Json = Record<string, unknown>

/**
 * A user of Auth0: of a bulk export, of the file of password hashes that its support sends, or of a file for its bulk import.
 * `passwords` has the hashes of a second file, by the id of the user.
 */
export function auth0User(user: Json, passwords: Map<string, string>): ForeignUser {
  const builder = new UserBuilder()
  const id = auth0Id(user)
  const email = textIn(user, 'email')
  builder.set('email', email)
  builder.setUserName(textIn(user, 'username'), email)
  builder.set('email_verified', user['email_verified'] === true)
  builder.set('disabled', user['blocked'] === true)
  builder.setCreated(user['created_at'])
  const name = textIn(user, 'name')
  // Auth0 puts the address there when it knows no name.
  builder.setNames(textIn(user, 'given_name'), textIn(user, 'family_name'), name === email ? undefined : name)
  builder.set('nickname', textIn(user, 'nickname'))
  builder.set('picture', textIn(user, 'picture'))
  builder.setPhoneNumber(textIn(user, 'phone_number'))
  for (const metadata of ['user_metadata', 'app_metadata'])
    for (const [attribute, value] of Object.entries(objectIn(user, metadata) ?? {}))
      builder.addAttribute(attribute, value)
  for (const { provider, connection } of objectsIn(user, 'identities'))
    if (provider !== 'auth0') builder.leaveOut('identities', String(connection ?? provider))
  for (const factor of textsIn(user, 'multifactor'))
    builder.leaveOut('multifactor', `${factor}: its key is not in an export`)
  for (const factor of objectsIn(user, 'mfa_factors')) addFactor(builder, factor)
  addPassword(builder, user, id === null ? undefined : passwords.get(id))
  return builder.build(id)
}

/** `auth0|…` for a user of a database connection, whatever the file calls it; null for one without an id. */
export function auth0Id(user: Json): string | null {
  const oid = textIn(objectIn(user, '_id') ?? {}, '$oid') ?? textIn(user, '_id')
  const id = textIn(user, 'user_id') ?? oid
  if (id === undefined) return null
  return id.includes('|') ? id : `auth0|${id}`
}

/** The hash in a file of password hashes. */
export function auth0Password(user: Json): string | undefined {
  return textIn(user, 'passwordHash') ?? textIn(user, 'password_hash')
}

function addFactor(builder: UserBuilder, factor: Json): void {
  const secret = textIn(objectIn(factor, 'totp') ?? {}, 'secret')
  if (secret !== undefined) builder.addTotpSecret(secret)
  for (const kind of Object.keys(factor)) if (kind !== 'totp') builder.leaveOut('mfa_factors', kind)
}

function addPassword(builder: UserBuilder, user: Json, elsewhere: string | undefined): void {
  const custom = objectIn(user, 'custom_password_hash')
  if (custom === undefined) return builder.set('password_hash', auth0Password(user) ?? elsewhere)
  const algorithm = textIn(custom, 'algorithm') ?? ''
  const hash = objectIn(custom, 'hash') ?? {}
  const value = textIn(hash, 'value') ?? ''
  const encoding = textIn(objectIn(custom, 'password') ?? {}, 'encoding') ?? 'utf8'
  if (encoding !== 'utf8') builder.leaveOut('password_hash', `is of a password in ${encoding}`)
  else if (algorithm === 'bcrypt' || algorithm === 'argon2' || algorithm === 'pbkdf2')
    builder.set('password_hash', value)
  else if (algorithm === 'scrypt') addScrypt(builder, custom, hash)
  else builder.leaveOut('password_hash', `${algorithm}: a fast hash is guessed quickly, so it is not taken`)
}

function addScrypt(builder: UserBuilder, custom: Json, hash: Json): void {
  const [salted, hashed] = [base64In(objectIn(custom, 'salt') ?? {}), base64In(hash)]
  const [n, r, p] = ['cost', 'blockSize', 'parallelization'].map((name, at) => Number(custom[name] ?? USUAL[at]))
  if (salted === null || hashed === null) builder.leaveOut('password_hash', 'is in an encoding that is not known')
  else builder.set('password_hash', `$scrypt$ln=${Math.log2(n as number)},r=${r},p=${p}$${salted}$${hashed}`)
}

/** N, r and p of scrypt, where the file does not say them. */
const USUAL = [16_384, 8, 1]

/** Null for an encoding other than these. */
function base64In(encoded: Json): string | null {
  const encoding = textIn(encoded, 'encoding') ?? 'utf8'
  if (encoding !== 'utf8' && encoding !== 'base64' && encoding !== 'hex') return null
  return Buffer.from(textIn(encoded, 'value') ?? '', encoding)
    .toString('base64')
    .replace(/=+$/, '')
}
