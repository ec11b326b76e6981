import { errors } from 'oidc-provider'

/** An error of the protocol that the library has no class for. */
export function errorOf(status: number, error: string, description: string): Error {
  const made = new errors.OIDCProviderError(status, error)
  made.error_description = description
  return made
}
