import type { FieldProblem } from '../../domain/refused.ts'
import { ATTRIBUTE_NAME } from '../../domain/identities/attributes.ts'
import { ADMIN, isRoleName, SUPPORT } from '../../domain/identities/roles.ts'

/** A user of another system, as the fields of an import. */
export interface ForeignUser {
  /** What the other system calls them. */
  externalId: string | null
  row: Record<string, unknown>
  /** What of them Gatehouse cannot have, and why. */
  leftOut: FieldProblem[]
}

/** The fields of a user of another system, as they are collected. What is undefined, null or empty is not set. */
export class UserBuilder {
  readonly #row: Record<string, unknown> = {}
  readonly #attributes: Record<string, string> = {}
  readonly #roles: string[] = []
  readonly #totpSecrets: string[] = []
  readonly #leftOut: FieldProblem[] = []

  set(field: string, value: unknown): void {
    if (value !== undefined && value !== null && value !== '' && value !== false) this.#row[field] = value
  }

  leaveOut(field: string, problem: string): void {
    this.#leftOut.push({ field, problem })
  }

  /** A name that is an e-mail address is none here: users sign in with their address anyway. */
  setUserName(name: string | undefined, email: string | undefined): void {
    if (name === undefined || name === '') return
    if (!name.includes('@')) this.set('username', name)
    else if (name.toLowerCase() !== email?.toLowerCase())
      this.leaveOut('username', `${name}: an e-mail address is no user name here`)
  }

  setNames(given: string | undefined, family: string | undefined, whole: string | undefined): void {
    this.set('given_name', given)
    this.set('family_name', family)
    const parts = [given, family].filter((part) => part !== undefined && part !== '')
    this.set('name', whole ?? (parts.length === 0 ? undefined : parts.join(' ')))
  }

  /** What is not in the form of a phone number here is refused for that by the import. */
  setPhoneNumber(number: string | undefined): void {
    if (number !== undefined && number !== '') this.set('phone_number', number.startsWith('+') ? number : `+${number}`)
  }

  /** In milliseconds since 1970, or as a date in text. */
  setCreated(at: unknown): void {
    if (at === undefined || at === null || at === '') return
    const isNumber = typeof at === 'number' || (typeof at === 'string' && /^\d+$/.test(at))
    const date = new Date(isNumber ? Number(at) : typeof at === 'string' ? at : NaN)
    if (Number.isNaN(date.getTime())) this.leaveOut('created_at', 'is no time')
    else this.set('created_at', date.toISOString())
  }

  addRole(role: string): void {
    if (role === ADMIN || role === SUPPORT)
      this.leaveOut('roles', `${role}: that would administer Gatehouse itself; give it with \`user set-roles\``)
    else if (!isRoleName(role)) this.leaveOut('roles', `${role}: a role has 1 to 64 letters, digits, or . : _ -`)
    else this.#roles.push(role)
  }

  /** A single value; the name becomes one of an attribute here: `costCentre` is `cost_centre`. */
  addAttribute(name: string, value: unknown): void {
    if (value === undefined || value === null || value === '') return
    const attribute = name
      .replaceAll(/([a-z\d])([A-Z])/g, '$1_$2')
      .replaceAll(/[^A-Za-z\d]+/g, '_')
      .toLowerCase()
    if (typeof value === 'object') this.leaveOut('attributes', `${name}: is no single value`)
    else if (!ATTRIBUTE_NAME.test(attribute)) this.leaveOut('attributes', `${name}: cannot be the name of an attribute`)
    else if (Object.hasOwn(this.#attributes, attribute))
      this.leaveOut('attributes', `${name}: another one is called ${attribute} already`)
    else this.#attributes[attribute] = typeof value === 'string' ? value : JSON.stringify(value)
  }

  addTotpSecret(base32: string): void {
    this.#totpSecrets.push(base32)
  }

  build(externalId: string | null): ForeignUser {
    const row = {
      ...this.#row,
      ...(this.#roles.length > 0 ? { roles: this.#roles } : {}),
      ...(Object.keys(this.#attributes).length > 0 ? { attributes: this.#attributes } : {}),
      ...(this.#totpSecrets.length > 0 ? { totp_secrets: this.#totpSecrets } : {}),
    }
    return { externalId, row, leftOut: this.#leftOut }
  }
}
