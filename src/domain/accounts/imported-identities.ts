import type { Message } from '../../i18n/messages.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { attributeProblem, MOST_ATTRIBUTES } from '../identities/attributes.ts'
import { derivedUserNames } from '../identities/derived-user-names.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import type { GroupRow } from '../identities/groups.ts'
import { readRoles } from '../identities/roles.ts'
import { canonicalUserName, skeletonsOf, userNameProblem } from '../identities/user-names.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { examineHash } from '../passwords/passwords.ts'
import { type FieldProblem, Refused } from '../refused.ts'
import { readTotpSecret } from '../sign-in/totp.ts'
import { examineProfile, type Profile, type ProfileField } from '../identities/profiles.ts'

/** An identity from elsewhere. What is undefined stays as it is in an update. */
export interface ImportedIdentity {
  /** Undefined where the other system has none; a new identity then gets one that is derived from its e-mail address. */
  username: string | undefined
  email: string
  emailVerified: boolean
  profile: Partial<Profile>
  roles: string[] | undefined
  /** By name or id. */
  groups: string[] | undefined
  attributes: Record<string, string> | undefined
  /** Only of a new identity; without it, its user chooses a password by a reset. */
  passwordHash: string | undefined
  /** The keys of authenticator apps, in Base32. Only of a new identity. */
  totpSecrets: string[]
  /** Only of a new identity. */
  isDisabled: boolean
  /** Only of a new identity; undefined for now. */
  createdAt: Date | undefined
}

/** A user name with what it is compared by. */
export interface CandidateName {
  username: string
  key: string
  skeletons: string[]
}

/** What is imported, in its canonical form, and what is wrong with it. */
export interface Candidate {
  given: ImportedIdentity
  /** One, or those that were derived from the e-mail address, the better one first. */
  names: CandidateName[]
  /** Whether another system gave it the name, so that it is found by it. */
  hasOwnName: boolean
  email: string
  emailKey: string
  profile: Partial<Profile>
  roles: string[]
  groups: GroupRow[]
  attributes: Record<string, string>
  /** As it is stored. */
  passwordHash: string | null
  totpSecrets: string[]
  /** Why it is refused. */
  problems: FieldProblem[]
  /** What of it is not imported, and why. */
  leftOut: FieldProblem[]
}

const MOST_TOTP_SECRETS = 5

/**
 * Examines an identity by the rules of a registration. With `leavesOut` only its e-mail address can refuse it, and everything else
 * that cannot be stored is left out. `known` has the groups by name or id, null for one that there is not.
 */
export function examine(
  given: ImportedIdentity,
  known: Map<string, GroupRow | null>,
  leavesOut: boolean,
  now: Date,
): Candidate {
  const faults = new Faults(leavesOut)
  const email = canonicalEmail(given.email)
  faults.refuse('email', said(emailProblem(email)))
  const username = examineUserName(given, faults)
  if (given.createdAt !== undefined && given.createdAt > now) faults.add('created_at', 'is in the future')
  return {
    given,
    names: (username === null ? derivedUserNames(email) : [username]).map(candidateName),
    hasOwnName: username !== null,
    email,
    emailKey: loginKeyOf(email),
    profile: examineNames(given, faults),
    roles: examineRoles(given, faults),
    groups: (given.groups ?? []).flatMap(
      (name) => known.get(name) ?? faults.add('groups', `there is no group ${name}`),
    ),
    attributes: examineAttributes(given, faults),
    passwordHash: examinePassword(given, faults),
    totpSecrets: examineTotpSecrets(given, faults),
    problems: faults.problems,
    leftOut: faults.leftOut,
  }
}

/** What is found wrong: it refuses the identity, or is left out of it. */
class Faults {
  readonly problems: FieldProblem[] = []
  readonly leftOut: FieldProblem[] = []
  readonly #leavesOut: boolean

  constructor(leavesOut: boolean) {
    this.#leavesOut = leavesOut
  }

  refuse(field: string, problem: string | null): void {
    if (problem !== null) this.problems.push({ field, problem })
  }

  /** @returns nothing, in the place of what is wrong */
  add(field: string, problem: string): [] {
    if (this.#leavesOut) this.leftOut.push({ field, problem })
    else this.problems.push({ field, problem })
    return []
  }
}

function said(found: Message | null): string | null {
  return found === null ? null : englishTexts().say(found)
}

/** Null where it has none that can be its. */
function examineUserName({ username: given }: ImportedIdentity, faults: Faults): string | null {
  if (given === undefined) return null
  const username = canonicalUserName(given)
  const problem = said(userNameProblem(username))
  if (problem === null) return username
  faults.add('username', `${JSON.stringify(given)}: ${problem}`)
  return null
}

function candidateName(username: string): CandidateName {
  return { username, key: loginKeyOf(username), skeletons: skeletonsOf(username) }
}

function examineNames({ profile }: ImportedIdentity, faults: Faults): Partial<Profile> {
  const { cleaned, problems } = examineProfile(profile)
  const good = Object.entries(cleaned).filter(([field]) => problems[field as ProfileField] === undefined)
  for (const [field, problem] of Object.entries(problems)) faults.add(field, englishTexts().say(problem))
  return Object.fromEntries(good)
}

function examineRoles({ roles = [] }: ImportedIdentity, faults: Faults): string[] {
  try {
    return readRoles(roles)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    faults.add('roles', error.message)
    return []
  }
}

function examineAttributes({ attributes = {} }: ImportedIdentity, faults: Faults): Record<string, string> {
  const good = Object.entries(attributes).filter(([name, value]) => {
    const problem = attributeProblem(name, value)
    if (problem !== null) faults.add('attributes', `${name}: ${problem}`)
    return problem === null
  })
  if (good.length > MOST_ATTRIBUTES) faults.add('attributes', `an identity has at most ${MOST_ATTRIBUTES} attributes`)
  return Object.fromEntries(good.slice(0, MOST_ATTRIBUTES))
}

function examinePassword({ passwordHash }: ImportedIdentity, faults: Faults): string | null {
  if (passwordHash === undefined) return null
  const examined = examineHash(passwordHash)
  if ('text' in examined) return examined.text
  faults.add('password_hash', examined.problem)
  return null
}

function examineTotpSecrets({ totpSecrets }: ImportedIdentity, faults: Faults): string[] {
  const read = totpSecrets.flatMap(
    (secret) => readTotpSecret(secret) ?? faults.add('totp_secrets', 'is no key of 10 to 64 bytes in Base32'),
  )
  if (read.length > MOST_TOTP_SECRETS) faults.add('totp_secrets', `there are at most ${MOST_TOTP_SECRETS}`)
  return read.slice(0, MOST_TOTP_SECRETS)
}
