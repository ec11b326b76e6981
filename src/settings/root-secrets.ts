import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** Secrets with commas between; the first signs, all verify. */
export function rootSecrets(): ValueType<readonly [string, ...string[]]> {
  return {
    schema: z
      .string()
      .transform((value) => value.split(',').map((secret) => secret.trim()))
      .refine(
        (secrets) => secrets.every((secret) => Buffer.byteLength(secret) >= 32),
        'each secret must have at least 32 bytes',
      )
      .refine(
        (secrets) => secrets.every((secret) => new Set(secret).size >= 8),
        'must be random: try `openssl rand -base64 48`',
      )
      .transform((secrets) => secrets as [string, ...string[]]),
    words: 'random secrets of at least 32 bytes, with commas between',
  }
}
