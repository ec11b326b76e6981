import english from '../../locales/en.json' with { type: 'json' }

/** The name of a text in the catalogues. */
export type MessageKey = keyof typeof english

/** What fills a placeholder. A message is said in the language of the text around it. */
export type MessageValue = string | number | Date | Message

/** A text that is said later, in the language of the user. Rules return it instead of words. */
export interface Message {
  key: MessageKey
  values?: Record<string, MessageValue>
}

export function message(key: MessageKey, values?: Record<string, MessageValue>): Message {
  return values === undefined ? { key } : { key, values }
}
