/** The scopes of OpenID Connect Core §5.4, and `roles` and `groups`, which the portal defines. */
export const OPENID_SCOPES = [
  'openid',
  'profile',
  'email',
  'address',
  'phone',
  'roles',
  'groups',
  'offline_access',
] as const

/**
 * Those that apps asked for in vain before there were profiles and groups. An app that is not registered for one of them gets the rest, and no
 * error, as with a scope that the portal does not know.
 */
export const LATER_SCOPES: readonly string[] = ['address', 'phone', 'groups']

/** Those that an app may ask for unless its registration says otherwise: few apps need to call or visit their users. */
export const DEFAULT_SCOPES = ['openid', 'profile', 'email', 'roles', 'offline_access'] as const
