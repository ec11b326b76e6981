/** The scopes of OpenID Connect Core §5.4, and `roles`, which the portal defines. */
export const OPENID_SCOPES = ['openid', 'profile', 'email', 'roles', 'offline_access'] as const
