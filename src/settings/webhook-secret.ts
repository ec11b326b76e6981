import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** A key of Standard Webhooks: 24 to 64 bytes in base64, with or without `whsec_` before it. */
export function webhookSecret(): ValueType<string> {
  return {
    schema: z
      .string()
      .refine(
        isKey,
        'must be 24 to 64 bytes in base64, with or without whsec_ before it, as openssl rand -base64 32 makes',
      ),
    words: '24 to 64 bytes in base64, with or without `whsec_` before it',
  }
}

function isKey(value: string): boolean {
  const encoded = value.replace(/^whsec_/, '')
  const { length } = Buffer.from(encoded, 'base64')
  return /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/.test(encoded) && length >= 24 && length <= 64
}
