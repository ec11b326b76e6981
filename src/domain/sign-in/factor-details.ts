/** The kind and the name of a second factor, in an audit event or a queued mail. */
export interface FactorDetail {
  kind: 'totp' | 'passkey' | 'other'
  name: string
}

const KINDS: Record<string, FactorDetail['kind']> = { 'authenticator app': 'totp', passkey: 'passkey' }

/** Reads what is kept of a second factor: its kind in English, and its name, as in `passkey “Laptop”`. */
export function readFactorDetail(detail: string | null): FactorDetail {
  const [, kind = '', name] = /^([a-z ]+) “(.*)”$/s.exec(detail ?? '') ?? []
  return name === undefined ? { kind: 'other', name: detail ?? '' } : { kind: KINDS[kind] ?? 'other', name }
}
