/** The systems whose exports are read. */
export const SYSTEMS = ['keycloak', 'auth0', 'logto', 'firebase'] as const
export type System = (typeof SYSTEMS)[number]

/** Names of members that an export of one system has, and of no other. */
const MARKS: Record<System, RegExp> = {
  keycloak:
    /"(?:realm|createdTimestamp|requiredActions|disableableCredentialTypes|realmRoles|federatedIdentities)"\s*:/,
  auth0: /"(?:user_id|custom_password_hash|user_metadata|app_metadata|_tmp_is_unique|\$oid)"\s*:/,
  logto:
    /"(?:primaryEmail|primary_email|passwordEncrypted|password_encrypted|passwordEncryptionMethod|password_encryption_method)"\s*:/,
  firebase: /"(?:localId|providerUserInfo|lastSignedInAt)"\s*:/,
}

/** Whose export a file is, by its beginning; the ones that it may be where that is not clear. */
export function detectSystems(beginning: string): System[] {
  return SYSTEMS.filter((system) => MARKS[system].test(beginning))
}
