import type { Texts } from '../i18n/texts.ts'

/** The content of a mail, in the order it is read; `compose` makes its text and its HTML. */
export interface MailContent extends Letterhead {
  /** Never contains text that other people chose: in a subject it would look like the portal's own words. */
  subject: string
  heading: string
  paragraphs: string[]
  /** What happened where and when: a name and its value. */
  facts?: [label: string, value: string][]
  /** What can be done about it. The words of one are the heading of the page it leads to. */
  links?: MailLink[]
  /** What is read last, such as what to do if it was not the user. */
  closing?: string[]
}

export interface MailLink {
  label: string
  url: string
}

/** What all mails to one person have in common. */
export interface Letterhead {
  /** In the language and the time zone of the person. */
  texts: Texts
  brand: MailBrand
}

/** What the mails of an organisation look like. */
export interface MailBrand {
  name: string
  /** Mail programs show no SVG and hardly any WebP, so that only a PNG is sent, inside the mail. */
  logo: { type: string; bytes: Buffer } | null
  accent: Record<'light' | 'dark', { accent: string; onAccent: string }> | null
  supportUrl: string | null
}
