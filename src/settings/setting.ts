import type { z } from 'zod'

/** Which values a setting takes, and what they are read as. */
export interface ValueType<T> {
  schema: z.ZodType<T, string>
  /** For `docs/configuration.md`, such as "a whole number from 1 to 100". */
  words: string
  unit?: 'seconds' | 'milliseconds'
}

/** An environment variable that configures the portal. */
export interface Setting<T = unknown> {
  type: ValueType<T>
  /** As an operator would write it; null where the setting has no value of its own until it is set. */
  default: string | null
  /** For `docs/configuration.md`: what holds while it is not set. Needed where `default` is null. */
  defaultInWords?: string
  /** Markdown, in whole sentences. */
  meaning: string
  /** A value that one could set, for `.env.example`. */
  example: string
  /** Never shown, and also taken from the file that `<name>_FILE` names. */
  isSecret?: true
  /** Older names, which keep working. */
  aliases?: readonly string[]
}

/** Gives a setting the type of its own literal, so that one with a default is never read as null. */
export function setting<T, const S extends Omit<Setting<T>, 'type'>>(each: S & { type: ValueType<T> }) {
  return each
}
