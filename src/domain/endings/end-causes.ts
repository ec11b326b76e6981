/** What a refresh answers for a family that will not go on; part of the contract with apps. */
export type RefusalReason = 'unknown' | 'expired' | 'reused' | 'revoked' | 'identity_disabled' | 'app_disabled'

/** Every cause with which an identity session or a family can end: its words for the user, and the reason an app gets. */
export const END_CAUSES = {
  signed_out: { words: 'you signed out', reason: 'revoked', alarming: false },
  signed_out_everywhere: { words: 'you signed out everywhere', reason: 'revoked', alarming: false },
  other_sign_ins_ended: { words: 'you ended all other sign-ins', reason: 'revoked', alarming: false },
  ended_by_person: { words: 'you ended it', reason: 'revoked', alarming: false },
  disconnected: { words: 'you disconnected the app', reason: 'revoked', alarming: false },
  session_ended: { words: 'the browser it belonged to was signed out', reason: 'revoked', alarming: false },
  signed_in_again: { words: 'there was a new sign-in in that browser', reason: 'revoked', alarming: false },
  replaced: {
    words: 'a newer sign-in of the app, made in the background, took its place',
    reason: 'revoked',
    alarming: false,
  },
  revoked_by_app: { words: 'the app signed you out', reason: 'revoked', alarming: false },
  signed_out_by_app: { words: 'you signed out from an app', reason: 'revoked', alarming: false },
  password_changed: { words: 'you changed your password', reason: 'revoked', alarming: false },
  password_reset: { words: 'your password was reset', reason: 'revoked', alarming: false },
  reuse: {
    words: 'a refresh token that had been replaced was used again, so it may have been copied',
    reason: 'reused',
    alarming: true,
  },
  // The app authenticated from an IP address it has refreshed from before: it used an old copy of its own, which is no theft.
  own_reuse: {
    words: 'the app used an old key of its own again, which is a fault in the app',
    reason: 'reused',
    alarming: false,
  },
  code_reuse: {
    words: 'its authorization code was used twice, so it may have been copied',
    reason: 'reused',
    alarming: true,
  },
  disowned: { words: 'you said that a sign-in was not you', reason: 'revoked', alarming: true },
  expired: { words: 'it had lasted as long as it may', reason: 'expired', alarming: false },
  idle_expired: { words: 'it had not been used for a long time', reason: 'expired', alarming: false },
  session_expired: { words: 'the sign-in it belonged to had run out', reason: 'expired', alarming: false },
  identity_disabled: { words: 'your account was disabled', reason: 'identity_disabled', alarming: true },
  identity_deleted: { words: 'your account was deleted', reason: 'identity_disabled', alarming: false },
  app_disabled: { words: 'the app was disabled', reason: 'app_disabled', alarming: false },
  operator: { words: 'an operator ended it', reason: 'revoked', alarming: true },
} as const satisfies Record<string, { words: string; reason: RefusalReason; alarming: boolean }>

export type EndCause = keyof typeof END_CAUSES
