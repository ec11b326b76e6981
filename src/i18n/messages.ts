import english from '../../locales/en.json' with { type: 'json' }
import englishAdmin from '../../locales/admin/en.json' with { type: 'json' }

/** The name of a text in the catalogues. */
export type MessageKey = keyof typeof english | keyof typeof englishAdmin

/** What fills a placeholder. A message, or a name, is said in the language of the text around it. */
export type MessageValue = string | number | Date | Message | LocalName

/** A text that is said later, in the language of the user. Rules return it instead of words. */
export interface Message {
  key: MessageKey
  values?: Record<string, MessageValue>
}

/** The name of a place, in the languages that it is known in. */
export interface LocalName {
  /** By language tag. Languages without one read the English name. */
  names: Readonly<Record<string, string>> & { readonly en: string }
}

/** A text for users: words of their language, or a name that is the same in every language. */
export type Words = Message | LocalName | string

export function message(key: MessageKey, values?: Record<string, MessageValue>): Message {
  return values === undefined ? { key } : { key, values }
}
