import { type Message, message } from '../../i18n/messages.ts'

/** What a refresh answers for a family that will not go on; part of the contract with apps. */
export type RefusalReason =
  'unknown' | 'expired' | 'reused' | 'revoked' | 'identity_disabled' | 'app_disabled' | 'access_withdrawn'

/** Every cause with which an identity session or a family can end: its words for the user, and the reason an app gets. */
export const END_CAUSES = {
  signed_out: { words: message('end_causes.signed_out'), reason: 'revoked', alarming: false },
  signed_out_everywhere: { words: message('end_causes.signed_out_everywhere'), reason: 'revoked', alarming: false },
  other_sign_ins_ended: { words: message('end_causes.other_sign_ins_ended'), reason: 'revoked', alarming: false },
  ended_by_person: { words: message('end_causes.ended_by_person'), reason: 'revoked', alarming: false },
  disconnected: { words: message('end_causes.disconnected'), reason: 'revoked', alarming: false },
  access_withdrawn: { words: message('end_causes.access_withdrawn'), reason: 'access_withdrawn', alarming: false },
  session_ended: { words: message('end_causes.session_ended'), reason: 'revoked', alarming: false },
  signed_in_again: { words: message('end_causes.signed_in_again'), reason: 'revoked', alarming: false },
  replaced: {
    words: message('end_causes.replaced'),
    reason: 'revoked',
    alarming: false,
  },
  revoked_by_app: { words: message('end_causes.revoked_by_app'), reason: 'revoked', alarming: false },
  signed_out_by_app: { words: message('end_causes.signed_out_by_app'), reason: 'revoked', alarming: false },
  signed_out_by_provider: { words: message('end_causes.signed_out_by_provider'), reason: 'revoked', alarming: false },
  password_changed: { words: message('end_causes.password_changed'), reason: 'revoked', alarming: false },
  password_reset: { words: message('end_causes.password_reset'), reason: 'revoked', alarming: false },
  reuse: {
    words: message('end_causes.reuse'),
    reason: 'reused',
    alarming: true,
  },
  // The app authenticated from an IP address it has refreshed from before: it used an old copy of its own, which is no theft.
  own_reuse: {
    words: message('end_causes.own_reuse'),
    reason: 'reused',
    alarming: false,
  },
  code_reuse: {
    words: message('end_causes.code_reuse'),
    reason: 'reused',
    alarming: true,
  },
  disowned: { words: message('end_causes.disowned'), reason: 'revoked', alarming: true },
  expired: { words: message('end_causes.expired'), reason: 'expired', alarming: false },
  idle_expired: { words: message('end_causes.idle_expired'), reason: 'expired', alarming: false },
  session_expired: { words: message('end_causes.session_expired'), reason: 'expired', alarming: false },
  identity_disabled: { words: message('end_causes.identity_disabled'), reason: 'identity_disabled', alarming: true },
  identity_deleted: { words: message('end_causes.identity_deleted'), reason: 'identity_disabled', alarming: false },
  app_disabled: { words: message('end_causes.app_disabled'), reason: 'app_disabled', alarming: false },
  app_deleted: { words: message('end_causes.app_deleted'), reason: 'app_disabled', alarming: false },
  moved: { words: message('end_causes.moved'), reason: 'revoked', alarming: false },
  operator: { words: message('end_causes.operator'), reason: 'revoked', alarming: true },
} as const satisfies Record<string, { words: Message; reason: RefusalReason; alarming: boolean }>

export type EndCause = keyof typeof END_CAUSES

/**
 * The words of an ending. `address` is that of the client it came from, null where no user did it: access is withdrawn by users,
 * and by operators.
 */
export function endWords(cause: EndCause, address: string | null): Message {
  return cause === 'access_withdrawn' && address === null
    ? message('end_causes.entry_withdrawn')
    : END_CAUSES[cause].words
}
