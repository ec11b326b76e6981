import { domainToASCII } from 'node:url'

export interface Sender {
  name: string
  /** Its domain is ASCII (IDNA), as mail servers take it. */
  address: string
}

/**
 * Parses `MAIL_FROM`: an e-mail address, or a name and an e-mail address in angle brackets. The name may be quoted and hold anything: as one
 * string a colon in it would begin a group (RFC 5322 §3.4).
 */
export function parseSender(from: string): Sender {
  const [, quoted, plain = '', bracketed] = /^\s*(?:"((?:[^"\\]|\\.)*)"|(.*?))\s*<([^<>]*)>\s*$/s.exec(from) ?? []
  const name = quoted === undefined ? plain : quoted.replaceAll(/\\(.)/gs, '$1')
  const address = (bracketed ?? from).trim()
  const at = address.lastIndexOf('@')
  return { name, address: `${address.slice(0, at)}@${domainToASCII(address.slice(at + 1))}` }
}
