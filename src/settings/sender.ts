import { domainToASCII } from 'node:url'
import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** An e-mail address, or a name and an e-mail address in angle brackets; `mail/sender.ts` takes it apart. */
export function sender(): ValueType<string> {
  return {
    schema: z.string().refine(isSender, 'must be an address, or a name and an address in angle brackets'),
    words: 'an e-mail address, or a name and an e-mail address in angle brackets',
  }
}

function isSender(value: string): boolean {
  const [, address] = /^(?: *"(?:[^"\\\p{Cc}]|\\[^\p{Cc}])*"|[^\p{Cc}<>]*) *<([^<>]*)> *$/u.exec(value) ?? [
    null,
    value.trim(),
  ]
  const [, domain = ''] = /^[^\p{Cc}\s@<>"(),:;]+@([^\p{Cc}\s@<>"(),;]+)$/u.exec(address) ?? []
  return domainToASCII(domain) !== ''
}
