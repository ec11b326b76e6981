/** The app with opaque access tokens: the stock library neither introspects JWTs nor accepts them at userinfo. */
export const OPAQUE_APP = 'opaque'

/** The one with client_credentials. */
export const SERVICE = 'robot'
