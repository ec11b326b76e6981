import { errors, type KoaContextWithOIDC } from 'oidc-provider'

/** A parameter of a request to the token endpoint. @throws InvalidRequest when it is missing */
export function requiredParameter(ctx: KoaContextWithOIDC, name: string): string {
  const value = ctx.oidc.params?.[name]
  if (typeof value !== 'string' || value === '')
    throw new errors.InvalidRequest(`missing required parameter(s) '${name}'`)
  return value
}

/** Null when the app requests none. Only well-formed scopes (RFC 6749 §3.3) reach a store. */
export function requestedScopes(ctx: KoaContextWithOIDC): string[] | null {
  const value = ctx.oidc.params?.['scope']
  if (value === undefined) return null
  const scopes = typeof value === 'string' ? scopesIn(value) : null
  if (scopes === null) throw new errors.InvalidScope('scope contains invalid characters', '')
  return scopes
}

/** The different scopes of a list (RFC 6749 §3.3); null when it is malformed. */
export function scopesIn(list: string): string[] | null {
  const isWellFormed = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(list)
  return isWellFormed ? [...new Set(list.split(' '))] : null
}

/** Each value of a parameter that may be there more than once. */
export function valuesOf(ctx: KoaContextWithOIDC, name: string): string[] {
  const value = ctx.oidc.params?.[name] as string | string[] | undefined
  return value === undefined ? [] : [value].flat()
}
