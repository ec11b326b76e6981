/** The app whose access tokens are opaque: this library neither introspects JWTs nor takes them at userinfo. */
export const OPAQUE_APP = 'opaque'
