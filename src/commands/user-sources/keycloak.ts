import { ScureBase32Plugin } from 'otplib'
import { type ForeignUser, UserBuilder } from './foreign-user.ts'
import { objectIn, objectSaid, objectsIn, textIn, textsIn } from './json-values.ts'

type Json = Record<string, unknown>

/** Roles of Keycloak itself, which every user of a realm has. */
const BUILT_IN_ROLES = /^(?:default-roles-.*|offline_access|uma_authorization)$/
/** The app that every user has roles in: Keycloak's own pages about one's account. */
const ACCOUNT_CLIENT = 'account'

/** A user of a realm export (UserRepresentation); null for the service account of a client. */
export function keycloakUser(user: Json): ForeignUser | null {
  if (textIn(user, 'serviceAccountClientId') !== undefined) return null
  const builder = new UserBuilder()
  const email = textIn(user, 'email')
  const actions = textsIn(user, 'requiredActions')
  builder.set('email', email)
  builder.setUserName(textIn(user, 'username'), email)
  builder.set('email_verified', user['emailVerified'] === true && !actions.includes('VERIFY_EMAIL'))
  builder.set('disabled', user['enabled'] === false)
  builder.setCreated(user['createdTimestamp'])
  builder.setNames(textIn(user, 'firstName'), textIn(user, 'lastName'), undefined)
  for (const [name, values] of Object.entries(objectIn(user, 'attributes') ?? {}))
    builder.addAttribute(name, Array.isArray(values) && values.length < 2 ? values[0] : values)
  // A group inside another is the path to it.
  builder.set('groups', nonEmpty(textsIn(user, 'groups').map((path) => path.replace(/^\//, ''))))
  for (const role of textsIn(user, 'realmRoles')) if (!BUILT_IN_ROLES.test(role)) builder.addRole(role)
  for (const [client, roles] of Object.entries(objectIn(user, 'clientRoles') ?? {}))
    if (client !== ACCOUNT_CLIENT && Array.isArray(roles))
      builder.leaveOut('client_roles', `${client}: ${roles.join(', ')}`)
  for (const { identityProvider } of objectsIn(user, 'federatedIdentities'))
    builder.leaveOut('federated_identities', String(identityProvider))
  if (textIn(user, 'federationLink') !== undefined)
    builder.leaveOut('federation_link', 'the password, if any, is kept by a user federation, such as LDAP')
  const mustChange = actions.includes('UPDATE_PASSWORD')
  if (mustChange) builder.leaveOut('password_hash', 'the password had to be changed (UPDATE_PASSWORD)')
  for (const action of actions)
    if (action !== 'UPDATE_PASSWORD' && action !== 'VERIFY_EMAIL') builder.leaveOut('required_actions', action)
  for (const credential of objectsIn(user, 'credentials')) addCredential(builder, credential, mustChange)
  return builder.build(textIn(user, 'id') ?? null)
}

function nonEmpty<T>(values: T[]): T[] | undefined {
  return values.length === 0 ? undefined : values
}

function addCredential(builder: UserBuilder, credential: Json, mustChange: boolean): void {
  const type = textIn(credential, 'type')
  const secret = objectSaid(textIn(credential, 'secretData')) ?? {}
  const data = objectSaid(textIn(credential, 'credentialData')) ?? {}
  if (type === 'password') {
    if (!mustChange) addPassword(builder, secret, data)
  } else if (type === 'otp') addOtp(builder, secret, data)
  else builder.leaveOut('credentials', credentialWords(type))
}

function credentialWords(type: string | undefined): string {
  if (type?.startsWith('webauthn') === true) return `${type}: a passkey works at the host name it was made for alone`
  return `${type ?? 'without a type'}: is not known here`
}

function addPassword(builder: UserBuilder, secret: Json, data: Json): void {
  const [value, salt] = [textIn(secret, 'value'), textIn(secret, 'salt')]
  const [iterations, algorithm] = [Number(data['hashIterations']), textIn(data, 'algorithm') ?? '']
  if (value === undefined) return builder.leaveOut('password_hash', 'is not in the export')
  const [, digest] = /^pbkdf2(?:-(sha256|sha512))?$/.exec(algorithm) ?? []
  if (algorithm.startsWith('pbkdf2'))
    builder.set(
      'password_hash',
      `$pbkdf2-${digest ?? (algorithm === 'pbkdf2' ? 'sha1' : algorithm.slice('pbkdf2-'.length))}$i=${iterations}$${salt ?? ''}$${value}`,
    )
  else if (algorithm === 'argon2') {
    const parameters = objectIn(data, 'additionalParameters') ?? {}
    const first = (name: string) => String(textsIn(parameters, name)[0] ?? textIn(parameters, name))
    const version = first('version') === '1.0' ? 16 : 19
    builder.set(
      'password_hash',
      `$argon2${first('type')}$v=${version}$m=${first('memory')},t=${iterations},p=${first('parallelism')}$${unpadded(salt)}$${unpadded(value)}`,
    )
  } else if (algorithm === 'bcrypt') builder.set('password_hash', value)
  else builder.leaveOut('password_hash', `${algorithm || 'an algorithm without a name'}: is not known here`)
}

function unpadded(base64: string | undefined): string {
  return (base64 ?? '').replace(/=+$/, '')
}

function addOtp(builder: UserBuilder, secret: Json, data: Json): void {
  const value = textIn(secret, 'value')
  const kind = [textIn(data, 'subType'), data['digits'], data['period'], textIn(data, 'algorithm')].join(' ')
  if (value === undefined || kind !== 'totp 6 30 HmacSHA1')
    return builder.leaveOut('credentials', `otp: an authenticator app with ${kind}; here it is totp 6 30 HmacSHA1`)
  // Keycloak's own key is the bytes of this text; one from elsewhere may be kept in Base32.
  const isBase32 = textIn(data, 'secretEncoding') === 'BASE32'
  builder.addTotpSecret(isBase32 ? value : new ScureBase32Plugin().encode(Buffer.from(value)))
}
